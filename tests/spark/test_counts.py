"""What measurements are made of, counted by Spark, against plain Python and scikit-learn."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from sklearn import metrics

from processor.measure.counts import PROBABILITY_FLOOR, Window, bins, categories, quality
from processor.measure.weighted import WeightedCounts

Row = dict[str, Any]

SEED = 5
ROWS = 3000
START = datetime(2016, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOWS = (
    Window("batch", None, None),
    Window("7d", START + 3 * DAY, START + 10 * DAY),
    Window("never", START - DAY, START),
)
SLICES = ("sex", "race")
EDGES = {"x": [-1.0, 0.0, 2.5], "y": [0.0], "absent": [1.0]}
SCHEMA = pa.schema(
    {
        "model_version": pa.string(),
        "response_time": pa.timestamp("us", "UTC"),
        "is_new": pa.bool_(),
        "label": pa.string(),
        "pred_label": pa.string(),
        "class_probs": pa.map_(pa.string(), pa.float64()),
        "slices": pa.map_(pa.string(), pa.string()),
        "weight": pa.float64(),
        "features_num": pa.map_(pa.string(), pa.float64()),
        "features_str": pa.map_(pa.string(), pa.string()),
    }
)


def one(rng: Random) -> Row:
    """A row as bad as they come: nothing said, no session, no probabilities, NaN."""
    p = rng.choice((0.0, 1.0, rng.random()))
    return {
        "model_version": rng.choice(("1", "2")),
        "response_time": START + rng.randrange(12 * 24) * timedelta(hours=1),
        "is_new": rng.random() < 0.3,
        "label": rng.choice(("yes", "no")),
        "pred_label": rng.choice(("yes", "no", "no", None)),
        "class_probs": rng.choice(([("yes", p), ("no", 1 - p)], [])),
        "slices": rng.choice(
            (None, [], [("sex", "f")], [("sex", "m"), ("race", "Grün"), ("other", "o")])
        ),
        "weight": 1.0,
        "features_num": [
            (name, rng.choice((-1.0, 0.0, 2.5, math.inf, -math.inf, math.nan, rng.gauss(0, 2))))
            for name in rng.sample(("x", "y", "z"), rng.randrange(4))
        ],
        "features_str": [("c", rng.choice(("a", "b", "", None)))],
    }


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    rng = Random(SEED)
    return [one(rng) for _ in range(ROWS)]


def inside(row: Row, window: Window) -> bool:
    if window.start is None or window.end is None:
        return bool(row["is_new"])
    return bool(window.start <= row["response_time"] < window.end)


def chosen(rows: list[Row], version: str, window: str, name: str) -> list[Row]:
    (span,) = (each for each in WINDOWS if each.name == window)
    return [
        row
        for row in rows
        if row["pred_label"] is not None
        and row["model_version"] == version
        and inside(row, span)
        and (name == "all" or tuple(name.split("=")) in (row["slices"] or []))
    ]


def test_quality_counts_are_what_scikit_learn_counts(spark: SparkSession, rows: list[Row]) -> None:
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
    found = [r.asDict(True) for r in quality(frame, WINDOWS, SLICES, "yes").collect()]
    groups = {(row["model_version"], row["window"], row["slice"]): row for row in found}
    assert groups.keys() == {
        (version, window, name)
        for version in ("1", "2")
        for window in ("batch", "7d")
        for name in ("all", "sex=f", "sex=m", "race=Grün")
    }
    for group, counted in groups.items():
        mine = chosen(rows, *group)
        truth, said = [row["label"] for row in mine], [row["pred_label"] for row in mine]
        table = metrics.confusion_matrix(truth, said, labels=["no", "yes"])
        (tn, fp), (fn, tp) = table.tolist()
        assert [counted[name] for name in ("n", "tn", "fp", "fn", "tp")] == [
            *(len(mine), tn, fp, fn, tp)
        ]
        judged = [
            (row["label"], dict(row["class_probs"])["yes"]) for row in mine if row["class_probs"]
        ]
        assert counted["log_loss_n"] == len(judged)
        assert counted["weighted"] is None
        mean = metrics.log_loss(*zip(*judged, strict=True), labels=["no", "yes"])
        assert counted["log_loss_sum"] / len(judged) == pytest.approx(mean, rel=1e-12)


def test_weights_are_summed_by_cell_where_any_is_not_one(
    spark: SparkSession, rows: list[Row]
) -> None:
    rng = Random(6)
    heavy = {"1": (1.0, 2.0, 8.0), "2": (1.0,)}
    weighed = [{**row, "weight": rng.choice(heavy[row["model_version"]])} for row in rows]
    frame = spark.createDataFrame(pa.Table.from_pylist(weighed, SCHEMA))
    found = [r.asDict(True) for r in quality(frame, WINDOWS, SLICES, "yes").collect()]
    for counted in found:
        group = (counted["model_version"], counted["window"], counted["slice"])
        if counted["model_version"] == "2":
            assert counted["weighted"] is None, "each row stands for itself"
            continue
        mine = chosen(weighed, *group)
        assert counted["weighted"] == pytest.approx(summed(mine), rel=1e-12)
    assert len(found) == 16


def summed(mine: list[Row]) -> dict[str, float]:
    """Every sum of `WeightedCounts`, row by row."""
    sums: dict[str, float] = dict.fromkeys(WeightedCounts._fields, 0.0)
    for row in mine:
        said, hit, w = row["pred_label"] == "yes", row["label"] == "yes", row["weight"]
        cell = ("t" if said is hit else "f") + ("p" if said else "n")
        sums[f"w_{cell}"] += w
        sums[f"ww_{cell}"] += w * w
        if row["class_probs"]:
            given = dict(row["class_probs"])[row["label"]]
            loss = -math.log(min(max(given, PROBABILITY_FLOOR), 1 - PROBABILITY_FLOOR))
            for name, value in (("w_said", w), ("ww_said", w * w), ("w_loss", w * loss)):
                sums[name] += value
            sums["ww_loss"] += w * w * loss
            sums["ww_loss_sq"] += w * w * loss * loss
    return sums


def test_profiles_count_what_plain_python_counts(spark: SparkSession, rows: list[Row]) -> None:
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA))
    numeric: Counter[tuple[str, str, str]] = Counter()
    text: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        for name, value in row["features_num"]:
            if name in EDGES and not math.isnan(value):
                place = bisect.bisect_right(EDGES[name], value)
                numeric[row["model_version"], name, str(place)] += 1
        for name, value in row["features_str"]:
            if value is not None:
                text[row["model_version"], name, value] += 1
    assert counted(bins(frame, EDGES).toArrow().to_pylist()) == numeric
    assert counted(categories(frame).toArrow().to_pylist()) == text


def counted(found: list[Row]) -> Mapping[tuple[str, str, str], int]:
    return {(row["model_version"], row["feature"], row["bin"]): row["n"] for row in found}
