"""Coincidences counted by Spark, against the matrix of the package `krippendorff`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, get_args

import krippendorff
import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from processor.measure.agreement import Scale, agreement
from processor.measure.coincidences import PARTS, coincidences
from processor.measure.counts import Window
from processor.measurements import Measurement

UNITS = 700
T0 = datetime(2024, 3, 1, tzinfo=UTC)
WINDOWS = (
    Window("batch", None, None),
    Window("7d", T0, T0 + timedelta(days=7)),
    Window("never", T0 - timedelta(days=1), T0),
)
BLANK = Measurement("l", "m", "all", "agreement.m.alpha", "all", "batch", 0)
SCHEMA = pa.schema(
    {
        "inference_id": pa.string(),
        "response_time": pa.timestamp("us", tz="UTC"),
        "is_new": pa.bool_(),
        "ratings": pa.list_(pa.float64()),
    }
)


def units() -> list[dict[str, Any]]:
    """Few to many raters of each, who often see the same."""
    rng = Random(6)
    made = []
    for number in range(UNITS):
        there, raters = rng.choice((0.0, 0.25, 1.0)), rng.choice((0, 1, 2, 2, 3, 5, 12))
        other = (0.0, 0.25, 0.5, 1.0)
        said = [there if rng.random() < 0.7 else rng.choice(other) for _ in range(raters)]
        at = T0 + timedelta(days=rng.randrange(14))
        row = {"inference_id": f"i{number}", "response_time": at, "is_new": rng.random() < 0.3}
        made.append({**row, "ratings": said})
    return made


def reference(said: Sequence[Sequence[float]], scale: Scale) -> float:
    values = sorted({value for unit in said for value in unit})
    counts = np.array([[unit.count(value) for value in values] for unit in map(list, said)])
    found = krippendorff.alpha(value_counts=counts, value_domain=values, level_of_measurement=scale)
    return float(found)


def test_alpha_of_each_window_is_that_of_the_reference(spark: SparkSession) -> None:
    rows = units()
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA)).repartition(3)
    counted = coincidences(frame, WINDOWS).toArrow().to_pylist()
    assert {row["part"] for row in counted} <= set(range(PARTS))
    assert len({row["part"] for row in counted}) > PARTS / 2
    inside = {
        "batch": [row for row in rows if row["is_new"]],
        "7d": [row for row in rows if row["response_time"] < T0 + timedelta(days=7)],
    }
    assert {row["window"] for row in counted} == set(inside)
    for name, chosen in inside.items():
        said = [row["ratings"] for row in chosen if len(row["ratings"]) >= 2]
        mine = [row for row in counted if row["window"] == name]
        for scale in get_args(Scale):
            found = agreement(mine, scale, BLANK, 30)
            wanted = reference(said, scale)
            assert found.value == pytest.approx(wanted, abs=1e-9)
            assert found.n == len(said)
            assert found.ci_low is not None
            assert found.ci_high is not None
            assert found.ci_low < wanted < found.ci_high
