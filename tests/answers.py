"""Random events about random inferences, from few values: ties, edges and gaps are common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from processor.avro.contracts import contract, struct_type
from processor.table import struct

Event = dict[str, Any]

T0 = datetime(2024, 3, 1, tzinfo=UTC)
RECORDS = {"feedback": "FeedbackEvent", "ground_truth": "GroundTruth"}
METRIC, OTHER = "liked", "seen"
NUMBERS = (None, 0.0, -0.0, 1.0, 0.5, 1 / 3, 2.0, 5.0, -3.25, 1e-7, 12345678.9, 1e7, 0.001, 1e300)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
TEXTS = (None, "true", "false", "yes", "1.0", "", "Grüße")


def symbols(record: str, field: str) -> list[str]:
    """The symbols of an enum of a contract."""
    (found,) = (f for f in contract(record).schema["fields"] if f["name"] == field)
    return list(found["type"]["symbols"])


def fields(record: str) -> list[str]:
    """The fields of a contract."""
    return [field["name"] for field in contract(record).schema["fields"]]


def event(rng: Random, source: str, **told: Any) -> Event:  # noqa: ANN401  # any field
    """An event that may say anything, valid or not, besides what it is told to."""
    made: Event = dict.fromkeys(fields(RECORDS[source]))
    made |= {
        "event_id": f"e{rng.randrange(10**9)}",
        "event_time": T0 + timedelta(seconds=rng.randrange(100)),
        "inference_id": rng.choice((None, "i1", "i2")),
        "metric": rng.choice((METRIC, METRIC, METRIC, OTHER)),
        "op": rng.choice(("CREATE", "CREATE", "UPDATE", "RETRACT")),
        "value_num": rng.choice((*NUMBERS, *NOT_FINITE)),
        "value_bool": rng.choice((None, True, False)),
        "value_str": rng.choice(TEXTS),
    }
    if source == "feedback":
        made |= _said(rng)
    else:
        made["entity_key"] = rng.choice((None, "r1"))
    return made | told


def _said(rng: Random) -> Event:
    return {
        "kind": rng.choice(symbols("FeedbackEvent", "kind")),
        "level": rng.choice(symbols("FeedbackEvent", "level")),
        "session_id": rng.choice((None, "s1")),
        "episode_id": rng.choice((None, "p1")),
        "candidate_id": rng.choice((None, "c1")),
        "scale_min": rng.choice((*NUMBERS, *NOT_FINITE)),
        "scale_max": rng.choice((*NUMBERS, *NOT_FINITE)),
        "content_json": rng.choice((None, '{"a": 1}')),
        "preference": rng.choice((None, _preference(rng))),
        "ranking": rng.choice(([], ["c1"], ["c2", "c1"])),
        "position": rng.choice((None, -1, 0, 1, 2, 6)),
        "dwell_ms": rng.choice((None, 0, 1, 999, 30_000, 2**53 + 1)),
    }


def _preference(rng: Random) -> Event:
    (field,) = (f for f in contract("FeedbackEvent").schema["fields"] if f["name"] == "preference")
    record = field["type"][1]
    made: Event = dict.fromkeys(each["name"] for each in record["fields"])
    (outcome,) = (f["type"]["symbols"] for f in record["fields"] if f["name"] == "outcome")
    return made | {
        "a_id": "a",
        "b_id": "b",
        "a_inference_id": rng.choice((None, "i1", "i2")),
        "b_inference_id": rng.choice((None, "i1", "i2")),
        "outcome": rng.choice(outcome),
    }


def framed(
    spark: SparkSession, record: str, rows: list[Event], lead: Mapping[str, Any]
) -> DataFrame:
    """Rows of a contract as a frame, with columns of the `lead` before its own."""
    schema = StructType([*struct(**lead), *struct_type(contract(record).schema)])
    made: DataFrame = spark.createDataFrame(pa.Table.from_pylist(rows, to_arrow_schema(schema)))
    return made
