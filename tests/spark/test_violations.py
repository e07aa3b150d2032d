"""Features that are not what they were defined to be: counted by Spark and by plain Python."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from processor.loops import LoopConfig
from processor.measure.definitions import Definition, Span
from processor.measure.violations import KINDS, counted, shares

Row = dict[str, Any]
T0 = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
AGE = Definition("age", 0.0, 100.0, (), required=True)
SPANS = [
    Span(T0, T0 + HOUR, (AGE, Definition("region", None, None, ("n", "s"), required=True))),
    Span(
        T0 + HOUR,
        None,
        (
            AGE._replace(high=None, required=False),
            Definition("region", None, None, (), required=False),
            Definition("embedding", None, None, (), required=True),
        ),
    ),
]
SCHEMA = pa.schema(
    {
        "model_version": pa.string(),
        "event_time": pa.timestamp("us", "UTC"),
        "features_num": pa.map_(pa.string(), pa.float64()),
        "features_str": pa.map_(pa.string(), pa.string()),
        "features_vec": pa.map_(pa.string(), pa.list_(pa.float32())),
    }
)


def inferences(rng: Random) -> list[Row]:
    """Values at the edges; before any definition, in the first span, at the cut, and after."""
    found = []
    for _ in range(400):
        numbers = {"age": rng.choice((-0.1, 0.0, 50.0, 100.0, 100.1, None)), "other": -1.0}
        texts = {"region": rng.choice(("n", "s", "w", None))}
        found.append(
            {
                "model_version": rng.choice("12"),
                "event_time": T0 + rng.choice((-1, 0, 30, 60, 90)) * timedelta(minutes=1),
                "features_num": [(k, v) for k, v in numbers.items() if rng.random() < 0.9],
                "features_str": [(k, v) for k, v in texts.items() if rng.random() < 0.9],
                "features_vec": [("embedding", [1.0])] if rng.random() < 0.7 else [],
            }
        )
    return found


def oracle(rows: list[Row]) -> Counter[tuple[str, str, str]]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        hours = (row["event_time"] - T0) / HOUR
        age, region = (dict(row[of]).get(name) for of, name in WHERE)
        told: dict[tuple[str, str], bool | None] = {}
        if 0 <= hours < 1:
            told["age", "missing"] = age is None
            told["region", "missing"] = region is None
            told["region", "not_allowed"] = None if region is None else region == "w"
            told["age", "out_of_range"] = None if age is None else age < 0 or age > 100
        elif hours >= 1:
            told["age", "out_of_range"] = None if age is None else age < 0
            told["embedding", "missing"] = not row["features_vec"]
        for (feature, kind), hit in told.items():
            if hit is not None:
                counts[row["model_version"], feature, f"{kind}_of"] += 1
                counts[row["model_version"], feature, kind] += hit
    return counts


WHERE = (("features_num", "age"), ("features_str", "region"))


def test_what_breaks_a_definition_is_what_plain_python_finds(spark: SparkSession) -> None:
    rows = inferences(Random(2))
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
    found = [row.asDict() for row in counted(frame, SPANS).collect()]
    columns = [column for kind in KINDS for column in (kind, f"{kind}_of")]
    told = {(r["model_version"], r["feature"], name): r[name] for r in found for name in columns}
    assert {key: n for key, n in told.items() if n} == {k: n for k, n in oracle(rows).items() if n}
    assert {(r["feature"], kind) for r in found for kind in KINDS if r[kind]} == {
        *(("age", "out_of_range"), ("age", "missing"), ("region", "not_allowed")),
        *(("region", "missing"), ("embedding", "missing")),
    }


def test_a_share_is_said_of_what_could_be_so() -> None:
    loop = LoopConfig.model_validate(
        {"loop": "l", "model": "m", "outcome": {"metric": "x", "signal": "thumbs", "window": "1d"}}
    )
    nothing = dict.fromkeys(("not_allowed", "not_allowed_of", "missing"), 0)
    row = {"model_version": "1", "feature": "age", "out_of_range": 1, "out_of_range_of": 4}
    outside, missing = shares(loop, {**row, **nothing, "missing_of": 5})
    assert (outside.metric, outside.feature, outside.value, outside.n) == (
        *("features.out_of_range", "age", 0.25),
        4,
    )
    assert outside.ci_low == pytest.approx(0.0456, abs=1e-4)
    assert (missing.metric, missing.value, missing.n) == ("features.missing", 0.0, 5)
