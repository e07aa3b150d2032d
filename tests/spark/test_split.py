"""Splits: what belongs together is on one side; what lies before a cut is on its side or out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from processor.datasets.draws import draw_one
from processor.datasets.split import SPLITS, group, split
from processor.loops import SplitConfig

SCHEMA = pa.schema(
    {
        "inference_id": pa.string(),
        "subject_key": pa.string(),
        "session_id": pa.string(),
        "tags": pa.map_(pa.string(), pa.string()),
        "features_num": pa.map_(pa.string(), pa.float64()),
        "features_str": pa.map_(pa.string(), pa.string()),
        "response_time": pa.timestamp("us", "UTC"),
    }
)
VALIDATION, TEST = datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 6, 1, tzinfo=UTC)
EMBARGO = timedelta(days=14)
TICK = timedelta(microseconds=1)
EDGES = [
    cut - early + off
    for cut in (VALIDATION, TEST)
    for early in (timedelta(0), EMBARGO)
    for off in (-TICK, timedelta(0), TICK)
]
Row = dict[str, Any]


def maybe(rng: Random, value: Any) -> Any:  # noqa: ANN401  # any value
    return value if rng.random() < 0.8 else None


def rows() -> list[Row]:
    rng = Random(3)
    return [
        {
            "inference_id": f"i{number}",
            "subject_key": maybe(rng, f"s{rng.randrange(80)}"),
            "session_id": maybe(rng, f"v{rng.randrange(90)}"),
            "tags": [("store", f"t{rng.randrange(60)}")] if rng.random() < 0.8 else [],
            "features_num": [("age", float(rng.randrange(70)))] if rng.random() < 0.8 else [],
            "features_str": [("region", f"r{rng.randrange(70)}")] if rng.random() < 0.8 else [],
            "response_time": rng.choice(EDGES),
        }
        for number in range(600)
    ]


ROWS = rows()
GROUPS: Mapping[str, Callable[[Row], str | None]] = {
    "subject": lambda row: row["subject_key"],
    "session": lambda row: row["session_id"],
    "tag.store": lambda row: dict(row["tags"]).get("store"),
    "feature.region": lambda row: dict(row["features_str"]).get("region"),
    "feature.age": lambda row: (
        str(dict(row["features_num"])["age"]) if row["features_num"] else None
    ),
    "feature.nobody-has-it": lambda _: None,
}


def sides(spark: SparkSession, config: SplitConfig, found: list[Row]) -> dict[str, str | None]:
    frame = spark.createDataFrame(pa.Table.from_pylist(found, SCHEMA))
    grouped = frame.withColumn("split_group", group(config))
    told = grouped.select("inference_id", split(config, "d|1").alias("side")).collect()
    return {row["inference_id"]: row["side"] for row in told}


@pytest.mark.parametrize("by", list(GROUPS))
def test_a_group_is_on_one_side_in_every_version(spark: SparkSession, by: str) -> None:
    config = SplitConfig(by=by, validation=0.2, test=0.3)
    found = sides(spark, config, ROWS)
    for row in ROWS:
        drawn = draw_one(GROUPS[by](row) or row["inference_id"], "split|d|1")
        expected = "test" if drawn < 0.3 else "validation" if drawn < 0.5 else "train"
        assert found[row["inference_id"]] == expected
    assert set(found.values()) == set(SPLITS)
    half = sides(spark, config, ROWS[::2])
    assert half.items() <= found.items()


@pytest.mark.parametrize("validation_from", [VALIDATION, None])
def test_a_split_by_time_leaves_an_embargo(
    spark: SparkSession, validation_from: datetime | None
) -> None:
    config = SplitConfig(
        by="time", validation_from=validation_from, test_from=TEST, embargo=EMBARGO
    )

    def side(at: datetime) -> str | None:
        if at >= TEST:
            return "test"
        if at >= TEST - EMBARGO:
            return None
        if validation_from is None or at < validation_from - EMBARGO:
            return "train"
        return "validation" if at >= validation_from else None

    found = sides(spark, config, ROWS)
    assert found == {row["inference_id"]: side(row["response_time"]) for row in ROWS}
    assert None in found.values()
