"""Whom several models disagree about, and that a budget is not spent on one input many times."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from scipy.optimize import brentq
from scipy.stats import entropy

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.stages import solicit
from processor.stages.base import Context
from processor.tables import LABEL_REQUESTS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, served, typed

DAY = timedelta(days=1)
MARKS = {1: T0 + DAY, 2: T0 + 2 * DAY}
FLOOR, BUDGET = 0.1, 40
STEP = 2 ** (1 / 32)  # two scores of one step, at most
OUTCOME = {"metric": "right", "signal": "label", "window": "10d"}
UNSURE = {"policy": "uncertainty", "measure": "margin", "floor": FLOOR}
ASKING: dict[str, dict[str, Any]] = {
    "votes": {"policy": "uncertainty", "measure": "vote_entropy", "floor": FLOOR, "rows": BUDGET},
    "plain": {**UNSURE, "rows": BUDGET},
    "spread": {"policies": [{**UNSURE, "rows": 8 * BUDGET}, {"policy": "diverse", "rows": BUDGET}]},
}
LOOPS = {
    name: LoopConfig.model_validate(
        {
            "model": "bot" if name == "votes" else "flooded",
            "outcome": OUTCOME,
            "loop": name,
            "label_requests": told,
        }
    )
    for name, told in ASKING.items()
}
FLOOD, KINDS = 300, 100


def output(name: str, request: str | None, label: str | None, **more: Any) -> Row:  # noqa: ANN401  # any field
    told = {"request_id": request, "pred_label": label}
    return served(name, **told, **{"class_probs": [("true", 0.75), ("false", 0.25)], **more})


def shadow(name: str, request: str, label: str | None, version: str, **more: Any) -> Row:  # noqa: ANN401  # any field
    return output(name, request, label, role="SHADOW", model_version=version, **more)


class Requests:
    """Requests of the second batch, and who else answered them: in which batch, and what."""

    def __init__(self) -> None:
        rng = Random(9)
        self.outputs: dict[int, list[Row]] = {1: [], 2: []}
        self.votes: dict[str, list[str]] = {}
        for number in range(240):
            served = rng.choice(("true", "false"))
            request = f"r{number}" if number % 8 else None
            name = f"i{number}"
            self.outputs[2].append(output(name, request, served))
            self.votes[name] = [served]
            if request is not None:
                self.others(name, request, rng)

    def others(self, name: str, request: str, rng: Random) -> None:
        """Up to three others; of one version the first, and no failure, no later batch."""
        for version in ("2", "3", "4")[: rng.randrange(4)]:
            label, batch = rng.choice(("true", "false", "perhaps")), rng.choice((1, 2))
            told = shadow(f"{name}-{version}", request, label, version)
            if version == "4":
                told["model_name"] = "another"
            self.outputs[batch].append(told)
            self.votes[name].append(label)
            if rng.random() < 0.3:
                self.outputs[2].append(shadow(f"{name}-{version}-again", request, "no", version))
                if version == "4":
                    self.outputs[2][-1]["model_name"] = "another"
        if rng.random() < 0.2:
            self.outputs[2].append(shadow(f"{name}-x", request, "no", "x", status="ERROR"))
        if rng.random() < 0.2:
            self.outputs[2].append(shadow(f"{name}-d", request, None, "d"))


def flooded() -> list[Row]:
    """One input many times, with small differences, and others once each; all as unsure."""
    rng = Random(3)
    rows = []
    for number in range(FLOOD + KINDS):
        near = number < FLOOD
        rows.append(
            output(
                f"f{number}",
                None,
                "true",
                model_name="flooded",
                class_probs=[("true", 0.55), ("false", 0.45)],
                features_num=[("amount", 100 + rng.random() if near else 10 * rng.random())],
                features_str=[("region", "north" if near else f"r{number}")],
            )
        )
    return rows


class World:
    """Two batches in a warehouse, of which the second asks."""

    def __init__(self, spark: SparkSession, home: Any) -> None:  # noqa: ANN401  # a path
        self.planted, self.flooded = Requests(), flooded()
        place = Warehouse(str(home))
        config = configured(home, LOOPS).model_copy(update={"warehouse": str(home)})
        context = Context(config, place, "run", lambda: spark, lambda _: None)
        rows = {1: self.planted.outputs[1], 2: self.planted.outputs[2] + self.flooded}
        for batch in (1, 2):
            told = [
                typed(TYPED["inferences"], row, batch, at) for at, row in enumerate(rows[batch])
            ]
            place.append_once(TYPED["inferences"], told, "test", batch)
            mark = {"batch_id": batch, "watermark": MARKS[batch]}
            proof = dict.fromkeys(PROOFS.schema.names) | mark
            place.append_once(PROOFS, [proof], "test", batch)
        place.append_once(OUTCOMES, [], "test", 1)
        solicit.run(context, Batch(2, (), T0, "run", config.hash, "code"))
        self.requests = {
            loop: {
                row["inference_id"]: row
                for row in place.rows(LABEL_REQUESTS, where=[("loop", "=", loop)]).to_pylist()
            }
            for loop in ASKING
        }


@pytest.fixture(scope="module")
def world(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(spark_session, tmp_path_factory.mktemp("committee"))


def disagreement(votes: list[str]) -> float:
    return float(entropy(list(Counter(votes).values())))


def test_those_are_asked_about_whom_models_disagree_on_and_now_and_then_the_others(
    world: World,
) -> None:
    votes = world.planted.votes
    scores = {name: disagreement(said) if len(said) > 1 else 0.0 for name, said in votes.items()}
    floored = np.maximum(list(scores.values()), FLOOR)
    factor = brentq(lambda f: np.minimum(1, f * floored).sum() - BUDGET, 0, 1e6)
    asked = world.requests["votes"]
    assert BUDGET / 2 < len(asked) < 2 * BUDGET
    for name, request in asked.items():
        alone = world.planted.votes[name]
        if len(alone) > 1:
            assert request["score"] == pytest.approx(scores[name], abs=1e-12)
        chance = min(1.0, factor * max(scores[name], FLOOR))
        assert chance / STEP <= request["inclusion_prob"] <= chance * STEP
    sizes = Counter(len(votes[name]) for name in asked)
    assert {1, 2, 3, 4} <= sizes.keys(), "who answered alone is asked about too"
    mean = {
        name: np.mean([scores[n] for n in names])
        for name, names in {"asked": asked, "all": scores}.items()
    }
    assert mean["asked"] > 1.4 * mean["all"]


def is_near(name: str) -> bool:
    return int(name[1:]) < FLOOD


def test_an_input_that_comes_many_times_does_not_take_the_budget(world: World) -> None:
    """All are as unsure: plain uncertainty asks what is frequent, and the cells are even."""
    plain, spread = world.requests["plain"], world.requests["spread"]
    repeated = {name: sum(map(is_near, asked)) for name, asked in world.requests.items()}
    assert repeated["plain"] > 0.6 * len(plain)
    assert repeated["spread"] <= 5
    kinds = {
        name: sum(not is_near(n) for n in asked)
        for name, asked in (("plain", plain), ("spread", spread))
    }
    assert kinds["spread"] > 2 * kinds["plain"]


def test_what_is_spread_still_stands_for_everybody(world: World) -> None:
    """Each cell has as many, so one of the flood has the chance of its cell over all of them."""
    asked = world.requests["spread"]
    near = [row["inclusion_prob"] for name, row in asked.items() if is_near(name)]
    other = {row["inclusion_prob"] for name, row in asked.items() if not is_near(name)}
    each = BUDGET / (KINDS + 1)  # of each kind, but for those that meet by chance
    assert max(other) == pytest.approx(each, rel=0.1)
    assert near == pytest.approx([max(other) / FLOOD] * len(near), rel=1e-9)
    standing = sum(1 / row["inclusion_prob"] for row in world.requests["plain"].values())
    assert standing == pytest.approx(FLOOD + KINDS, rel=0.35)
