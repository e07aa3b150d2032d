"""Label requests: who is asked, with what probability, and what the answers are then worth."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pyspark.sql import SparkSession
from scipy.optimize import brentq

from processor.batches import Batch
from processor.datasets.draws import draw_one
from processor.datasets.requests import NAMESPACE
from processor.loops import LoopConfig
from processor.measurements import Measurement
from processor.stages import compile as compile_
from processor.stages import measure, solicit
from processor.stages.base import Context
from processor.tables import LABEL_REQUESTS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from processor.weighting import hajek
from tests.spark.planted import T0, Row, configured, typed

DAY = timedelta(days=1)
WINDOW, EXPIRES, FLOOR, BUDGET = 10 * DAY, 3 * DAY, 0.1, 60
MARKS = {1: T0 + 5 * DAY, 2: T0 + 9 * DAY, 3: T0 + 12 * DAY}
SIZES = {1: 300, 2: 150}
STEP = 2 ** (1 / 64)  # a score stands for those that are this factor away, at most
OUTCOME = {"metric": "right", "signal": "label", "window": "10d"}
ASKING = {"policy": "uncertainty", "measure": "margin", "floor": FLOOR, "rows": BUDGET}
LOOPS = {
    str(each["loop"]): LoopConfig.model_validate({"model": "bot", "outcome": OUTCOME, **each})
    for each in (
        {"loop": "asks", "label_requests": {**ASKING, "expires": "3d", "seed": 7}},
        {"loop": "asks_not"},
    )
}


def inference(number: int, batch: int, rng: Random) -> Row:
    """Sure or not; some nobody saw, some must not be used, some are too old to be answered."""
    p = 0.5 + 0.5 * rng.random() ** 2
    said = rng.choice(("true", "false"))
    other = "false" if said == "true" else "true"
    return {
        "inference_id": f"i{number}",
        "model_name": "bot",
        "model_version": "1",
        "role": "SHADOW" if number % 20 == 3 else "PRIMARY",
        "status": "OK",
        "event_time": MARKS[batch] - timedelta(hours=rng.randrange(12 * 24)),
        "training_allowed": number % 25 != 4,
        "log_keep_prob": 1.0,
        "pred_label": said,
        "class_probs": [] if number % 30 == 5 else [(said, p), (other, 1 - p)],
    }


def told(row: Row, name: str, **more: Any) -> Row:  # noqa: ANN401  # any field
    """What somebody says of an inference: that it was right, or not."""
    sure = max((p for _, p in row["class_probs"]), default=0.5)
    label = row["pred_label"] if Random(row["inference_id"]).random() < sure else "neither"
    return {
        "event_id": name,
        "event_time": row["event_time"] + timedelta(minutes=1),
        "inference_id": row["inference_id"],
        "kind": "LABEL",
        "level": "INFERENCE",
        "metric": "right",
        "op": "CREATE",
        "value_str": label,
        **more,
    }


class World:
    """Two batches that ask and one that answers, in a warehouse; and what was planted."""

    def __init__(self, spark: SparkSession, home: Any) -> None:  # noqa: ANN401  # a path
        rng = Random(5)
        self.said = {
            1: [inference(n, 1, rng) for n in range(SIZES[1])],
            2: [inference(n, 2, rng) for n in range(SIZES[1], sum(SIZES.values()))],
        }
        self.said[2] += [{**row, "event_time": MARKS[2]} for row in self.said[1][::10]]
        self.place = Warehouse(str(home))
        self.context = Context(configured(home, LOOPS), self.place, "run", lambda: spark, _quiet)
        self.known = self.said[1][6::15]
        for batch in (1, 2):
            self.put("inferences", batch, self.said[batch])
            if batch == 1:
                self.know([row["inference_id"] for row in self.known])
            solicit.run(self.context, self.batch(batch))
        self.place.append_once(OUTCOMES, [], "test", 2)
        solicit.run(self.context, self.batch(2))  # again: nothing is asked twice
        self.requests: list[Row] = self.place.rows(LABEL_REQUESTS).to_pylist()
        self.answers = list(self.answered())
        self.put("feedback", 3, self.answers)
        compile_.run(self.context, self.batch(3))
        solicit.run(self.context, self.batch(3))
        measure.run(self.context, self.batch(3))
        self.outcomes = self.place.rows(OUTCOMES, where=[("batch_id", "=", 3)]).to_pylist()
        names = set(Measurement.__annotations__)
        found = self.place.rows(MEASUREMENTS).to_pylist()
        self.measured = [Measurement(**{n: row[n] for n in names}) for row in found]

    def batch(self, number: int) -> Batch:
        return Batch(number, (), T0, "run", "hash", "code")

    def put(self, table: str, batch: int, rows: list[Row]) -> None:
        filled = [typed(TYPED[table], row, batch, at) for at, row in enumerate(rows)]
        self.place.append_once(TYPED[table], filled, "test", batch)
        proof = {**dict.fromkeys(PROOFS.schema.names), "batch_id": batch, "watermark": MARKS[batch]}
        self.place.append_once(PROOFS, [proof], "test", batch)

    def know(self, names: list[str]) -> None:
        blank = dict.fromkeys(OUTCOMES.schema.names)
        fixed = {"batch_id": 1, "loop": "asks", "metric": "right", "timing": "ON_TIME"}
        rows = [{**blank, **fixed, "inference_id": n, "state": "POSITIVE"} for n in names]
        self.place.append_once(OUTCOMES, rows, "test", 1)

    def answered(self) -> Any:  # noqa: ANN401  # an iterator
        """Every request but each ninth; some of what was not asked; and two who are mistaken."""
        by_name = {row["inference_id"]: row for rows in self.said.values() for row in rows[::-1]}
        asked = {row["inference_id"]: row for row in self.requests}
        for number, (name, request) in enumerate(sorted(asked.items())):
            if number % 9:
                more = {"query_id": request["query_id"], "solicit_prob": 0.9}
                yield told(by_name[name], f"asked-{number}", **more)
        free = [name for name in by_name if name not in asked][:8]
        yield told(by_name[free[0]], "free-0")
        yield told(by_name[free[1]], "free-1", solicit_prob=0.25)
        other = self.requests[0]["query_id"]
        yield told(by_name[free[2]], "free-2", query_id=other, solicit_prob=0.5)
        yield told(by_name[free[3]], "free-3", query_id="of somebody else")

    def candidates(self, batch: int) -> list[Row]:
        """Who can be asked about, by the rules in plain words."""
        before = {row["inference_id"] for n in range(1, batch) for row in self.said[n]}
        known = {row["inference_id"] for row in self.known}
        return [
            row
            for row in self.said[batch]
            if row["role"] == "PRIMARY" and row["training_allowed"]
            if row["inference_id"] not in before | known
            if row["event_time"] + WINDOW > MARKS[batch]
        ]


def _quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def world(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(spark_session, tmp_path_factory.mktemp("solicit"))


def margin(row: Row) -> float:
    """As modAL's classifier_margin, turned: 1 - (p1 - p2); unknown is at the floor."""
    p = sorted((p for _, p in row["class_probs"]), reverse=True)
    return max(1 - (p[0] - p[1]), FLOOR) if p else FLOOR


def chances(rows: list[Row]) -> npt.NDArray[np.float64]:
    """In proportion to the score, and the budget in all."""
    scores = np.array([margin(row) for row in rows])
    factor = brentq(lambda f: np.minimum(1, f * scores).sum() - BUDGET, 0, 1e6)
    found: npt.NDArray[np.float64] = np.minimum(1.0, factor * scores)
    return found


@pytest.mark.parametrize("batch", [1, 2])
def test_whoever_can_be_asked_about_is_by_a_draw_with_the_probability_that_is_stored(
    world: World, batch: int
) -> None:
    able = world.candidates(batch)
    made = {row["inference_id"]: row for row in world.requests if row["batch_id"] == batch}
    assert len(able) > 2 * len(made) > BUDGET
    assert made.keys() <= {row["inference_id"] for row in able}
    near = STEP**2
    for row, chance in zip(able, chances(able), strict=True):
        drawn = draw_one(row["inference_id"], "ask|asks|7")
        request = made.get(row["inference_id"])
        if request is None:
            assert drawn >= chance / near
            continue
        assert chance / near <= request["inclusion_prob"] <= chance * near
        assert drawn < request["inclusion_prob"]
        if row["class_probs"]:
            assert max(request["score"], FLOOR) == pytest.approx(margin(row), rel=1e-12)
        else:
            assert request["score"] is None
    assert any(row["inclusion_prob"] < 0.1 for row in made.values()), "the sure are asked too"


def test_a_request_says_what_it_is(world: World) -> None:
    responded = {row["inference_id"]: row["event_time"] for row in world.said[2] + world.said[1]}
    for row in world.requests:
        assert (row["loop"], row["policy"]) == ("asks", "uncertainty")
        name = f"asks|{row['inference_id']}"
        assert row["query_id"] == str(uuid.uuid5(NAMESPACE, name))
        assert row["response_time"] == responded[row["inference_id"]]
        assert row["asked_at"] == MARKS[row["batch_id"]]
        ends = row["response_time"] + WINDOW
        assert row["expires_at"] == min(ends, row["asked_at"] + EXPIRES) > row["asked_at"]
    assert {ends_early(row) for row in world.requests} == {True, False}


def ends_early(row: Row) -> bool:
    expires: datetime = row["expires_at"]
    return bool(expires < row["asked_at"] + EXPIRES)


def test_nobody_is_asked_twice_and_the_order_is_by_lot(world: World) -> None:
    counts = Counter(row["inference_id"] for row in world.requests)
    assert max(counts.values()) == 1
    assert {row["batch_id"] for row in world.requests} == {1, 2}, "the third has no new inference"
    for batch in (1, 2):
        mine = [row for row in world.requests if row["batch_id"] == batch]
        ordered = sorted(mine, key=lambda row: row["priority"])
        assert [row["priority"] for row in ordered] == list(range(1, len(mine) + 1))
        drawn = [draw_one(row["inference_id"], "order|ask|asks|7") for row in ordered]
        assert drawn == sorted(drawn)


def test_an_answer_counts_with_the_probability_of_the_request_that_it_names(world: World) -> None:
    own = {row["inference_id"]: row["inclusion_prob"] for row in world.requests}
    free = [a["inference_id"] for a in world.answers if a["event_id"].startswith("free")]
    wanted = dict(zip(free, (None, 0.25, 0.5, None), strict=True))
    wanted |= {a["inference_id"]: own[a["inference_id"]] for a in world.answers[: -len(free)]}
    for loop in LOOPS:
        rows = [row for row in world.outcomes if row["loop"] == loop]
        found = {row["inference_id"]: row["solicit_prob"] for row in rows}
        assert found == wanted, loop


def test_what_became_of_requests_is_measured(world: World) -> None:
    answered = {a["inference_id"] for a in world.answers if a["event_id"].startswith("asked")}
    left = [row for row in world.requests if row["inference_id"] not in answered]
    expired = sum(row["expires_at"] <= MARKS[3] for row in left)
    found = {m.metric: m for m in world.measured if m.metric.startswith("requests.")}
    counts = {"answered": len(answered), "expired": expired, "open": len(left) - expired}
    assert {name.removeprefix("requests."): m.n for name, m in found.items()} == counts
    assert sum(counts.values()) == len(world.requests)
    assert all(m.value == m.n / len(world.requests) for m in found.values())
    assert {m.loop for m in found.values()} == {"asks"}


def test_quality_is_that_of_everybody_who_could_be_asked(world: World) -> None:
    by_name = {row["inference_id"]: row for rows in world.said.values() for row in rows[::-1]}
    rows = [row for row in world.outcomes if row["loop"] == "asks"]
    right = [row["value"] == by_name[row["inference_id"]]["pred_label"] for row in rows]
    wanted = hajek(right, [1 / (row["solicit_prob"] or 1.0) for row in rows])
    (found,) = (
        each
        for each in world.measured
        if (each.loop, each.metric, each.window) == ("asks", "accuracy", "batch")
    )
    assert found.value == pytest.approx(wanted.value, rel=1e-12)
    assert found.effective_n == pytest.approx(wanted.effective_n, rel=1e-9)
    assert found.effective_n is not None
    assert found.n == len(rows) > found.effective_n > 30
    assert found.value != pytest.approx(sum(right) / len(right), abs=0.01)
