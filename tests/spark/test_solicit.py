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
from processor.datasets.requests import NAMESPACE, asking
from processor.loops import LoopConfig
from processor.measurements import Measurement
from processor.stages import compile as compile_
from processor.stages import measure, solicit
from processor.stages.base import Context
from processor.stages.pipeline import PLAN
from processor.stages.recipes import POLICIES
from processor.stages.tune import tune
from processor.tables import BATCHES, LABEL_REQUESTS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED
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
    right = Random(row["inference_id"]).random() < sure
    label = "true" if (row["pred_label"] == "true") is right else "false"
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
        self.first = {row["inference_id"]: row for n in (2, 1) for row in self.said[n]}
        self.place = Warehouse(str(home))
        config = configured(home, LOOPS).model_copy(update={"warehouse": str(home)})
        self.context = Context(config, self.place, "run", lambda: spark, _quiet)
        self.known = self.said[1][6::15]
        for batch in (1, 2):
            self.plan(batch)
            self.put("inferences", batch, self.said[batch])
            if batch == 1:
                self.know([row["inference_id"] for row in self.known])
            solicit.run(self.context, self.batch(batch))
        self.place.append_once(OUTCOMES, [], "test", 2)
        solicit.run(self.context, self.batch(2))  # again: nothing is asked twice
        self.requests: list[Row] = self.place.rows(LABEL_REQUESTS).to_pylist()
        self.answers = list(self.answered())
        self.plan(3)
        self.plan(4)  # begun, so that the third is the last that is finished
        self.put("feedback", 3, self.answers)
        compile_.run(self.context, self.batch(3))
        solicit.run(self.context, self.batch(3))
        measure.run(self.context, self.batch(3))
        self.outcomes = self.place.rows(OUTCOMES, where=[("batch_id", "=", 3)]).to_pylist()
        names = set(Measurement.__annotations__)
        found = self.place.rows(MEASUREMENTS).to_pylist()
        self.measured = [Measurement(**{n: row[n] for n in names}) for row in found]

    def batch(self, number: int) -> Batch:
        return Batch(number, (), T0, "run", self.context.config.hash, "code")

    def plan(self, number: int) -> None:
        blank, made = dict.fromkeys(BATCHES.schema.names), self.batch(number)
        told = {n: getattr(made, n) for n in ("planned_at", "run_id", "config_hash")}
        row = {**blank, **told, "batch_id": number, "topic": "t", "partition": 0}
        self.place.append_once(BATCHES, [{**row, "code_version": "code"}], PLAN, number)

    def put(self, table: str, batch: int, rows: list[Row]) -> None:
        filled = [typed(TYPED[table], row, batch, at) for at, row in enumerate(rows)]
        self.place.append_once(TYPED[table], filled, "test", batch)
        proof = {**dict.fromkeys(PROOFS.schema.names), "batch_id": batch, "watermark": MARKS[batch]}
        self.place.append_once(PROOFS, [proof], "test", batch)

    def know(self, names: list[str]) -> None:
        blank = dict.fromkeys(OUTCOMES.schema.names)
        fixed = {"batch_id": 1, "loop": "asks", "metric": "right", "timing": "ON_TIME"}
        said = {"state": "POSITIVE", "value": "true", "reward": 1.0, "credit": 1.0}
        rows = [{**blank, **fixed, **said, "inference_id": n} for n in names]
        self.place.append_once(OUTCOMES, rows, "test", 1)

    def answered(self) -> Any:  # noqa: ANN401  # an iterator
        """Every request but each ninth; some of what was not asked; and two who are mistaken."""
        asked = {row["inference_id"]: row for row in self.requests}
        for number, (name, request) in enumerate(sorted(asked.items())):
            if number % 9:
                more = {"query_id": request["query_id"], "solicit_prob": 0.9}
                yield told(self.first[name], f"asked-{number}", **more)
        others = [row for row in self.candidates(2) if row["inference_id"] not in asked]
        free = [row["inference_id"] for row in others if self.counts(row)]
        yield told(self.first[free[0]], "free-0")
        yield told(self.first[free[1]], "free-1", solicit_prob=0.25)
        other = self.requests[0]["query_id"]
        yield told(self.first[free[2]], "free-2", query_id=other, solicit_prob=0.5)
        yield told(self.first[free[3]], "free-3", query_id="of somebody else")

    @staticmethod
    def counts(row: Row) -> bool:
        """Whether an answer of the third batch is on time: its window was not closed before."""
        return bool(row["event_time"] + WINDOW > MARKS[2])

    def in_time(self) -> set[str]:
        """The requests that were answered before their window was closed, by inference."""
        asked = (a["inference_id"] for a in self.answers if a["event_id"].startswith("asked"))
        return {name for name in asked if self.counts(self.first[name])}

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


def margin(row: Row, floor: float = FLOOR) -> float:
    """As modAL's classifier_margin, turned: 1 - (p1 - p2); unknown is at the floor."""
    p = sorted((p for _, p in row["class_probs"]), reverse=True)
    return max(1 - (p[0] - p[1]), floor) if p else floor


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
    assert len(able) > len(made) > BUDGET / 2
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
    stored = [row["inclusion_prob"] for row in made.values()]
    assert min(stored) < max(stored) / 3, "the sure are asked too, and more rarely"


def test_a_request_says_what_it_is(world: World) -> None:
    for row in world.requests:
        assert (row["loop"], row["policy"]) == ("asks", "uncertainty")
        name = f"asks|{row['inference_id']}"
        assert row["query_id"] == str(uuid.uuid5(NAMESPACE, name))
        assert row["response_time"] == world.first[row["inference_id"]]["event_time"]
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
    answered = world.in_time()
    left = [row for row in world.requests if row["inference_id"] not in answered]
    expired = sum(row["expires_at"] <= MARKS[3] for row in left)
    found = {m.metric: m for m in world.measured if m.metric.startswith("requests.")}
    counts = {"answered": len(answered), "expired": expired, "open": len(left) - expired}
    assert len(answered) < sum(a["event_id"].startswith("asked") for a in world.answers)
    assert {name.removeprefix("requests."): m.n for name, m in found.items()} == counts
    assert sum(counts.values()) == len(world.requests)
    assert all(m.value == m.n / len(world.requests) for m in found.values())
    assert {m.loop for m in found.values()} == {"asks"}


def test_quality_is_that_of_everybody_who_could_be_asked(world: World) -> None:
    rows = [row for row in world.outcomes if (row["loop"], row["timing"]) == ("asks", "ON_TIME")]
    assert {"LATE"} == {row["timing"] for row in world.outcomes} - {"ON_TIME"}
    right = [row["value"] == world.first[row["inference_id"]]["pred_label"] for row in rows]
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


# --- tuning ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(world: World) -> Row:
    """What 40 labels a batch are best spent on, as of the third batch."""
    return tune(world.context.config, lambda: world.context.spark, _quiet, "asks", 40)


class Truth:
    """The outcomes as of the third batch: right or not, how unsure, and how many each is."""

    def __init__(self, world: World) -> None:
        rows = world.outcomes + world.place.rows(OUTCOMES, as_of=1).to_pylist()
        mine = [row for row in rows if (row["loop"], row["timing"]) == ("asks", "ON_TIME")]
        said = [world.first[row["inference_id"]] for row in mine]
        right = [a["value"] == b["pred_label"] for a, b in zip(mine, said, strict=True)]
        self.y = np.array(right, dtype=float)
        self.w = np.array([1 / (row["solicit_prob"] or 1.0) for row in mine])
        self.unsure = np.array([margin(row, 0.05) for row in said])
        seen = [row for row in world.first.values() if row["role"] == "PRIMARY"]
        self.inferences = len(seen) / 2  # of two batches
        self.mean = (self.w * self.y).sum() / self.w.sum()

    def variance(self, score: npt.NDArray[np.float64], budget: float) -> float:
        """As of Hájek's mean, if as many are drawn in proportion to a score."""
        scale = self.inferences / self.w.sum()
        factor = brentq(
            lambda f: (np.minimum(1, f * score) * self.w).sum() * scale - budget, 0, 1e6
        )
        chance = np.minimum(1, factor * score)
        squares = (self.w * (1 - chance) / chance * (self.y - self.mean) ** 2).sum()
        return float(squares * scale / self.inferences**2)


def policy(tuned: Row, **wanted: Any) -> Row:  # noqa: ANN401  # any parameter
    """The first that says so, of the policies that were tried."""
    return next(
        each
        for each in tuned["policies"]
        if all(each["policy"].get(name) == value for name, value in wanted.items())
    )


def test_what_a_policy_would_come_to_is_evaluated_on_what_others_collected(
    world: World, tuned: Row
) -> None:
    truth = Truth(world)
    assert (tuned["as_of"], tuned["verdict"], tuned["estimates"]) == (3, None, "accuracy")
    assert tuned["outcomes"] == truth.y.size
    assert tuned["mean"] == pytest.approx(truth.mean, rel=1e-12)
    assert tuned["inferences"] == pytest.approx(truth.inferences, rel=1e-12)
    even = policy(tuned, policy="uniform")
    assert even["variance"] == pytest.approx(truth.variance(np.ones_like(truth.y), 40), rel=1e-9)
    assert (even["worth"], even["labels"]) == pytest.approx((40, 40))
    unsure = policy(tuned, policy="uncertainty", measure="margin", floor=0.05)
    assert unsure["variance"] == pytest.approx(truth.variance(truth.unsure, 40), rel=0.03)
    variances = [each["variance"] for each in tuned["policies"]]
    assert variances == sorted(variances)
    assert tuned["recommended"]["variance"] == variances[0] < even["variance"]
    tried = {each["policy"]["policy"] for each in tuned["policies"]}
    assert tried == {"uniform", "stratified", "uncertainty"}, "propensities were not logged"
    by = {tuple(each["policy"].get("by", ())) for each in tuned["policies"]}
    assert by == {(), ("pred_label",)}, "all else is the same for all"


def test_what_is_recommended_can_be_written_into_the_loop_file(tuned: Row) -> None:
    for each in tuned["policies"]:
        told = {"model": "bot", "loop": "l", "outcome": OUTCOME, "label_requests": each["policy"]}
        assert asking(LoopConfig.model_validate(told), POLICIES) is not None


def test_what_was_asked_is_held_against_what_was_expected(world: World, tuned: Row) -> None:
    answered = world.in_time()
    labels = {row["inference_id"]: row["value"] for row in world.outcomes if row["loop"] == "asks"}
    assert [row["batch"] for row in tuned["past"]] == [1, 2]
    for row in tuned["past"]:
        mine = [each for each in world.requests if each["batch_id"] == row["batch"]]
        came = [each for each in mine if each["inference_id"] in answered]
        assert (row["asked"], row["answered"]) == (len(mine), len(came))
        chance = np.array([each["inclusion_prob"] for each in came]) * len(came) / len(mine)
        names = [each["inference_id"] for each in came]
        y = np.array([float(labels[n] == world.first[n]["pred_label"]) for n in names])
        mean = (y / chance).sum() / (1 / chance).sum()
        squares = ((1 - chance) / chance**2 * (y - mean) ** 2).sum()
        width = 1.959964 * np.sqrt(squares) / (1 / chance).sum()
        assert row["mean"] == pytest.approx(mean, rel=1e-12)
        assert row["realised_half_width"] == pytest.approx(width, rel=1e-6)
        assert 0.3 * width < row["expected_half_width"] < 3 * width


def test_too_few_outcomes_recommend_nothing(world: World) -> None:
    few = world.context.config.loop["asks_not"].model_copy(update={"min_slice_rows": 10_000})
    loops = {**world.context.config.loop, "asks_not": few}
    config = world.context.config.model_copy(update={"loop": loops})
    found = tune(config, lambda: world.context.spark, _quiet, "asks_not", 40)
    assert (found["verdict"], found["recommended"], found["past"]) == ("INSUFFICIENT", None, [])
    assert "fewer than 10000" in found["reason"]
