"""Features that were worked out twice, against plain Python, and from a warehouse."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.measure.skew import counted, skew
from processor.stages.base import Context
from processor.stages.features import skews
from processor.tables import TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, typed

LOOP = LoopConfig.model_validate(
    {"loop": "l", "model": "bot", "outcome": {"metric": "m", "signal": "thumbs", "window": "1d"}}
)
SCHEMA = pa.schema(
    {
        "request_id": pa.string(),
        "model_version": pa.string(),
        "features_num": pa.map_(pa.string(), pa.float64()),
        "features_str": pa.map_(pa.string(), pa.string()),
    }
)
NUMBERS = (0.0, -0.0, 0.1 + 0.2, 0.3, 0.3000001, -5.0, 1e300, -1e300)


def drawn(rng: Random, count: int, versions: str) -> list[Row]:
    """Few requests and few values: equal ones, nearly equal ones and absent ones are common."""
    return [
        {
            "request_id": rng.choice((None, "", *(f"r{n}" for n in range(count // 2)))),
            "model_version": rng.choice(versions),
            "features_num": {n: rng.choice(NUMBERS) for n in "ab" if rng.random() < 0.8},
            "features_str": {n: rng.choice("xy") for n in "cd" if rng.random() < 0.8},
        }
        for _ in range(count)
    ]


def oracle(served: list[Row], shadows: list[Row]) -> dict[Any, tuple[int, int, float | None]]:
    pairs: dict[Any, list[tuple[bool, float | None]]] = defaultdict(list)
    for one in served:
        for other in shadows:
            if not one["request_id"] or one["request_id"] != other["request_id"]:
                continue
            for name, value in one["features_num"].items():
                if name in other["features_num"]:
                    again = other["features_num"][name]
                    same = math.isclose(value, again, rel_tol=1e-9)
                    pairs[other["model_version"], name].append((not same, abs(value - again)))
            for name, word in one["features_str"].items():
                if name in other["features_str"]:
                    differs = word != other["features_str"][name]
                    pairs[other["model_version"], name].append((differs, None))
    found = {}
    for key, told in pairs.items():
        far = [distance for differs, distance in told if differs and distance is not None]
        found[key] = len(told), sum(each for each, _ in told), median(far) if far else None
    return found


def frame(spark: SparkSession, rows: list[Row]) -> Any:  # noqa: ANN401  # a frame
    maps = [{k: [*v.items()] if isinstance(v, dict) else v for k, v in r.items()} for r in rows]
    return spark.createDataFrame(pa.Table.from_pylist(maps, SCHEMA))


def test_what_differs_is_what_plain_python_finds(spark: SparkSession) -> None:
    rng = Random(8)
    served, shadows = drawn(rng, 120, "1"), drawn(rng, 120, "23")
    rows = counted(frame(spark, served), frame(spark, shadows)).collect()
    found = {(r["model_version"], r["feature"]): (r["n"], r["differ"], r["apart"]) for r in rows}
    wanted = oracle(served, shadows)
    assert found.keys() == wanted.keys() == {(v, name) for v in "23" for name in "abcd"}
    for key, (n, differ, apart) in wanted.items():
        assert found[key][:2] == (n, differ)
        assert found[key][2] == (None if apart is None else pytest.approx(apart))
    assert all(0 < differ < n for n, differ, _ in wanted.values())


def inference(name: str, request: str, role: str, **told: Any) -> Row:  # noqa: ANN401  # any field
    base: Row = {"inference_id": name, "request_id": request, "role": role, "status": "OK"}
    base |= {"event_time": T0, "model_name": "bot", "model_version": "1"}
    return {**base, "features_num": [], "features_str": [], **told}


def test_a_batch_that_brings_shadows_says_how_far_they_are_from_what_was_served(
    spark: SparkSession, tmp_path: Path
) -> None:
    place = Warehouse(str(tmp_path))
    context = Context(
        configured(tmp_path, {"l": LOOP}), place, "run", lambda: spark, lambda _: None
    )
    twice = [
        inference("a", "r1", "PRIMARY", features_num=[("age", 30.0)]),
        inference("a", "r1", "PRIMARY", features_num=[("age", 99.0)]),
        inference("b", "r2", "PRIMARY", features_num=[("age", 40.0)]),
    ]
    again: Row = {"model_version": "2", "event_time": T0 + timedelta(days=90)}
    shadows = [
        inference("sa", "r1", "SHADOW", features_num=[("age", 30.0)], **again),
        inference("sb", "r2", "SHADOW", features_num=[("age", 42.0), ("new", 1.0)], **again),
        inference(
            "sc", "r2", "SHADOW", features_num=[("age", 0.0)], **{**again, "status": "ERROR"}
        ),
        inference("sd", "r9", "SHADOW", features_num=[("age", 0.0)], **again),
    ]
    found = []
    for number, rows in ((1, twice), (2, shadows), (3, [])):
        filled = [typed(TYPED["inferences"], row, number, at) for at, row in enumerate(rows)]
        place.append_once(TYPED["inferences"], filled, "test", number)
        found.append(list(skews(context, LOOP, Batch(number, (), T0, "run", "hash", "code"))))
    assert (found[0], found[2]) == ([], [])
    (age,) = found[1]
    assert (age.metric, age.model_version, age.feature) == ("features.skew", "2", "age")
    assert (age.n, age.value, age.effect) == (2, 0.5, 2.0)


def test_a_share_has_its_interval() -> None:
    row = {"model_version": "2", "feature": "age", "n": 4, "differ": 1, "apart": 0.5}
    told = skew(LOOP, row)
    assert (told.value, told.effect, told.window) == (0.25, 0.5, "batch")
    assert told.ci_low == pytest.approx(0.0456, abs=1e-4)
