"""What was expected of past requests: by the policy of their time, and by what was known then."""

from __future__ import annotations

import json
from datetime import timedelta
from math import log2
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pyspark.sql import SparkSession

from processor.datasets.scores import STEPS
from processor.loops import LoopConfig
from processor.measurements import ASKED
from processor.stages.pipeline import PLAN
from processor.stages.recipes import POLICIES
from processor.stages.tune import tune
from processor.tables import BATCHES, LABEL_REQUESTS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, served, typed

Numbers = npt.NDArray[np.float64]
DAY = timedelta(days=1)
SIZE, BUDGET, FLOOR, Z = 400, 90, 0.1, 1.959964
OUTCOME = {"metric": "right", "signal": "label", "window": "10d"}
WAY = {"policy": "uncertainty", "measure": "margin", "floor": FLOOR, "rows": BUDGET}
WAYS: dict[str, Row] = {"l": WAY, "forgot": {"policy": "by_lot", "n": 3}}
"""By loop, how it asked in the second batch; the one way is of a policy that is no more."""
LATER = {"policy": "stratified", "by": ["pred_label"], "rows": 7, "expires": "1d"}
"""How the loop asks today: what it said when batches asked is another thing."""


def score(row: Row) -> float:
    (_, p), (_, q) = row["class_probs"]
    return float(max(1 - abs(p - q), FLOOR))


def chances(rows: list[Row]) -> Numbers:
    """By the policy itself, whose probabilities `test_sampling` holds against a formula."""
    steps = [str(round(log2(score(row)) * STEPS)) for row in rows]
    told = {name: value for name, value in WAY.items() if name != "policy"}
    policy = POLICIES["uncertainty"]
    found = policy.allot({s: float(steps.count(s)) for s in steps}, policy.params(**told))
    return np.array([found[step] for step in steps])


class World:
    """The first batch is known; the second asks; in the third all answer, and much has changed."""

    def __init__(self, spark: SparkSession, home: Any) -> None:  # noqa: ANN401  # a path
        self.spark, rng = spark, Random(17)
        self.said = {b: [self.inference(f"i{b}-{n}", rng) for n in range(SIZE)] for b in (1, 2)}
        self.right = {
            row["inference_id"]: rng.random() < max(p for _, p in row["class_probs"])
            for rows in self.said.values()
            for row in rows
        }
        self.changed = [row["inference_id"] for row in self.said[1][::2]]
        self.place = Warehouse(str(home))
        told = {"model": "bot", "outcome": OUTCOME, "label_requests": LATER}
        loops = {name: LoopConfig.model_validate({**told, "loop": name}) for name in WAYS}
        self.config = configured(home, loops).model_copy(update={"warehouse": str(home)})
        for batch in (1, 2, 3, 4):
            self.plan(batch)
        chance = chances(self.said[2])
        self.asked = [
            (row, float(p)) for row, p in zip(self.said[2], chance, strict=True) if rng.random() < p
        ]
        self.know(1, [(row["inference_id"], None) for row in self.said[1]])
        self.ask(2)
        answers = [(row["inference_id"], p) for row, p in self.asked]
        self.know(3, [*answers, *((name, None) for name in self.changed)], turned=self.changed)

    @staticmethod
    def inference(name: str, rng: Random) -> Row:
        p = 0.5 + 0.5 * rng.random() ** 2
        return served(name, pred_label="true", class_probs=[("true", p), ("false", 1 - p)])

    def plan(self, number: int) -> None:
        told = {"batch_id": number, "topic": "t", "partition": 0, "planned_at": T0, "run_id": "r"}
        row = dict.fromkeys(BATCHES.schema.names) | told | {"config_hash": f"hash of {number}"}
        self.place.append_once(BATCHES, [row], PLAN, number)
        rows = self.said.get(number, [])
        filled = [typed(TYPED["inferences"], row, number, at) for at, row in enumerate(rows)]
        self.place.append_once(TYPED["inferences"], filled, "test", number)
        mark = {"batch_id": number, "watermark": T0 + number * DAY}
        self.place.append_once(PROOFS, [dict.fromkeys(PROOFS.schema.names) | mark], "test", number)

    def know(
        self, batch: int, names: list[tuple[str, float | None]], turned: list[str] | None = None
    ) -> None:
        """Whether each prediction was right; those that are turned were said wrongly before."""
        rows = []
        for name, solicited in names:
            right = self.right[name] != (name in (turned or ()))
            rows += [
                dict.fromkeys(OUTCOMES.schema.names)
                | {"batch_id": batch, "loop": loop, "metric": "right", "inference_id": name}
                | {"state": "POSITIVE" if right else "NEGATIVE", "timing": "ON_TIME"}
                | {"value": "true" if right else "false", "reward": float(right), "credit": 1.0}
                | {"solicit_prob": solicited, "response_time": T0}
                for loop in WAYS
            ]
        self.place.append_once(OUTCOMES, rows, "test", batch)

    def ask(self, batch: int) -> None:
        rows = [
            dict.fromkeys(LABEL_REQUESTS.schema.names)
            | {"batch_id": batch, "loop": loop, "inference_id": row["inference_id"]}
            | {"policy": "uncertainty", "inclusion_prob": p, "response_time": T0}
            for row, p in self.asked
            for loop in WAYS
        ]
        self.place.append_once(LABEL_REQUESTS, rows, "test", batch)
        measured = [
            dict.fromkeys(MEASUREMENTS.schema.names)
            | {"batch_id": batch, "loop": loop, "metric": ASKED, "reason": json.dumps(way)}
            for loop, way in WAYS.items()
        ]
        self.place.append_once(MEASUREMENTS, measured, "test", batch)

    def past(self, loop: str) -> list[Row]:
        found = tune(self.config, lambda: self.spark, lambda _: None, loop, 50)
        rows: list[Row] = found["past"]
        return rows

    def half_width(self, right: list[bool], population: float, answered: int) -> float:
        """Of so many labels of so many inferences, if they are like those of the first batch."""
        y, scale = np.array(right, dtype=float), population / SIZE
        steps = np.round(np.log2([score(row) for row in self.said[1]]) * STEPS)
        size = 2 ** (steps / STEPS)
        low, high = 0.0, 1e6
        for _ in range(200):
            factor = (low + high) / 2
            chance = np.minimum(1, factor * size)
            low, high = (factor, high) if chance.sum() * scale < answered else (low, factor)
        squares = ((1 - chance) / chance * (y - y.mean()) ** 2).sum() * scale
        return float(Z * np.sqrt(squares) / population)


@pytest.fixture(scope="module")
def world(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(spark_session, tmp_path_factory.mktemp("past"))


def test_what_is_expected_is_of_its_time_and_what_came_is_near_it(world: World) -> None:
    (row,) = world.past("l")
    assert (row["batch"], row["asked_by"]) == (2, WAY), "not as the loop asks today"
    population = sum(1 / p for _, p in world.asked)
    assert row["inferences"] == pytest.approx(population)
    assert row["asked"] == row["answered"] == len(world.asked)
    then = [world.right[each["inference_id"]] for each in world.said[1]]
    expected = world.half_width(then, population, len(world.asked))
    assert row["expected_half_width"] == pytest.approx(expected, rel=1e-4)
    assert row["realised_half_width"] == pytest.approx(expected, rel=0.3)
    now = [
        right != (each["inference_id"] in world.changed)
        for right, each in zip(then, world.said[1], strict=True)
    ]
    hindsight = world.half_width(now, population, len(world.asked))
    assert abs(hindsight / expected - 1) > 0.05, "else this test tells nothing"
    truth = np.mean([world.right[each["inference_id"]] for each in world.said[2]])
    assert row["mean"] == pytest.approx(truth, abs=row["expected_half_width"] * 1.5)


def test_a_policy_that_nobody_knows_any_more_expected_nothing(world: World) -> None:
    (row,) = world.past("forgot")
    assert (row["asked_by"], row["expected_half_width"]) == (None, None)
    assert row["realised_half_width"] > 0
