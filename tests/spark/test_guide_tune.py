"""The guide to labels: `bfp tune`, as a user gives it, prints what the guide shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pyspark.sql import SparkSession

from processor.cli.tune import COMMAND
from processor.measurements import ASKED
from processor.stages.pipeline import PLAN
from processor.tables import BATCHES, LABEL_REQUESTS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, served, typed
from tests.spark.population_rows import put

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "labels.md").read_text(encoding="utf-8")
LOOP = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
COMMANDED, SHOWN = re.findall(r"```sh\nbfp tune (.*?)\n```\n\n```\n(.*?)```", PAGE, re.DOTALL)[0]
OWN = "loops: loops\nwarehouse: warehouse\n"
Z = 1.959963984540054
SURE = {"false": 0.95, "true": 0.75}  # how sure the model is of what it says
OF_EACH = {"false": 300, "true": 100}  # of a batch
WRONG = {"false": 15, "true": 40}  # of the first batch, all of which is known
ASKED_WITH = {"false": 1 / 3, "true": 1.0}  # in the second
ANSWERED = {"false": 80, "true": 80}  # in the third, of a hundred of each
WRONG_THEN = {"false": 6, "true": 28}
KNOWN = {"false": 300 + 3 * 80, "true": 100 + 80}  # as many inferences are stood for

Tune = Callable[..., str]


def inferences(batch: int, label: str) -> list[str]:
    return [f"{batch}-{label}-{number:03d}" for number in range(OF_EACH[label])]


def inference(name: str) -> Row:
    label = name.split("-")[1]
    (other,) = SURE.keys() - {label}
    probs = [(label, SURE[label]), (other, 1 - SURE[label])]
    return served(name, model_name="review-classifier", pred_label=label, class_probs=probs)


def outcome(name: str, batch: int, *, right: bool, asked_with: float | None = None) -> Row:
    """What a person says: what the model did, or the other."""
    toxic = (name.split("-")[1] == "true") is right
    return {
        "batch_id": batch,
        "loop": "reviews",
        "metric": "toxic",
        "inference_id": name,
        "state": "POSITIVE" if toxic else "NEGATIVE",
        "timing": "ON_TIME",
        "value": str(toxic).lower(),
        "reward": float(toxic),
        "credit": 1.0,
        "solicit_prob": asked_with,
        "response_time": T0,
    }


def asked(label: str) -> list[str]:
    """A hundred of each, of the second batch."""
    return inferences(2, label)[:: OF_EACH[label] // 100]


def known() -> dict[int, list[Row]]:
    """By batch: the first is known whole, and of the second what was asked for."""
    first = [
        outcome(name, 1, right=number >= WRONG[label])
        for label in SURE
        for number, name in enumerate(inferences(1, label))
    ]
    third = [
        outcome(name, 3, right=number >= WRONG_THEN[label], asked_with=ASKED_WITH[label])
        for label in SURE
        for number, name in enumerate(asked(label)[: ANSWERED[label]])
    ]
    return {1: first, 3: third}


def requests() -> list[Row]:
    return [
        {"batch_id": 2, "loop": "reviews", "inference_id": name, "policy": "uncertainty"}
        | {"inclusion_prob": ASKED_WITH[label], "response_time": T0}
        for label in SURE
        for name in asked(label)
    ]


def plant(made: Warehouse, way: Row) -> None:
    """Three batches that are finished, and one that is begun."""
    outcomes = known()
    said = {"batch_id": 2, "loop": "reviews", "metric": ASKED, "reason": json.dumps(way)}
    for batch in (1, 2, 3):
        names = [name for label in SURE for name in inferences(batch, label) if batch < 3]
        rows = [typed(TYPED["inferences"], inference(n), batch, at) for at, n in enumerate(names)]
        put(made, TYPED["inferences"], rows, batch)
        put(made, OUTCOMES, outcomes.get(batch, []), batch)
        put(made, LABEL_REQUESTS, requests() if batch == 2 else [], batch)
        put(made, MEASUREMENTS, [said] if batch == 2 else [], batch)
        put(made, PROOFS, [{"batch_id": batch, "watermark": T0}], batch)
    for batch in (1, 2, 3, 4):
        row = {"batch_id": batch, "planned_at": T0, "topic": "t", "partition": 0}
        made.append_once(BATCHES, [dict.fromkeys(BATCHES.schema.names) | row], PLAN, batch)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the guide's loop file, and a warehouse of what it did so far."""
    home = tmp_path_factory.mktemp("tune")
    (home / "loops").mkdir()
    (home / "loops" / "reviews.yaml").write_text(LOOP, encoding="utf-8")
    (home / "bfp.yaml").write_text(OWN, encoding="utf-8")
    plant(Warehouse(str(home / "warehouse")), yaml.safe_load(LOOP)["label_requests"])
    return home


@pytest.fixture(scope="module")
def tune(home: Path, spark_session: SparkSession) -> Iterator[Tune]:
    """Runs the command in this process, on this session; the same words once."""

    @contextmanager
    def ours(*_: object) -> Iterator[Any]:
        yield lambda: spark_session

    @cache
    def run(*words: str) -> str:
        ended = CliRunner().invoke(COMMAND, words, catch_exceptions=False)
        assert ended.exit_code == 0
        return ended.stdout

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processor.cli.tune.on_demand", ours)
        patch.setenv("COLUMNS", "120")
        patch.chdir(home)
        yield run


def squares(label: str, mean: float) -> float:
    """Of what is known as of the last batch: the answers that were asked for stand for 1 / π."""
    weight = 1 / ASKED_WITH[label]
    wrong = WRONG[label] + weight * WRONG_THEN[label]
    right = OF_EACH[label] - WRONG[label] + weight * (ANSWERED[label] - WRONG_THEN[label])
    return right * (1 - mean) ** 2 + wrong * mean**2


def half_width(chances: Row) -> float:
    """With the probability of each label, of 400 inferences that are like the 720 known ones."""
    found = sum((1 - p) / p * squares(label, 619 / 720) for label, p in chances.items())
    return Z * sqrt(found * 400 / 720) / 400


def test_tuning_prints_what_the_guide_shows(tune: Tune) -> None:
    assert tune(*COMMANDED.split()) == SHOWN


def test_tuning_says_the_same_as_json_and_by_hand(tune: Tune) -> None:
    told = json.loads(tune(*COMMANDED.split(), "--json"))
    head = ("loop", "as_of", "budget", "outcomes", "estimates", "can_ask", "verdict", "inferences")
    assert [told[name] for name in head] == [
        *("reviews", 3, 200, 560, "accuracy", True, None, 400.0)
    ]
    # right are 285 + 60 of the first batch; then 74 that stand for three each, and 52
    assert told["mean"] == pytest.approx(619 / 720)
    assert told["effective"] == pytest.approx(720**2 / (400 + 80 * 9 + 80))
    widths = {_named(each["policy"]): each["half_width"] for each in told["policies"]}
    worth = {_named(each["policy"]): each["worth"] for each in told["policies"]}
    assert widths["uniform"] == pytest.approx(half_width({"false": 0.5, "true": 0.5}))
    assert widths["equal"] == pytest.approx(half_width({"false": 1 / 3, "true": 1.0}))
    # 300 x 0.2 and 100 x 0.5, scaled to 200; scores are told to 1 %
    asked_at = {"false": 200 * 0.2 / 110, "true": 200 * 0.5 / 110}
    assert widths["margin 0.2"] == pytest.approx(half_width(asked_at), rel=0.01)
    spreads = {label: sqrt(squares(label, 619 / 720) / n) for label, n in KNOWN.items()}
    scaled = 200 / (300 * spreads["false"] + 100 * spreads["true"])
    best = half_width({label: scaled * each for label, each in spreads.items()})
    assert widths["neyman"] == pytest.approx(best, rel=1e-4)
    assert min(widths.values()) == widths["neyman"]
    assert told["recommended"]["policy"]["spreads"] == pytest.approx(spreads, abs=1e-4)
    assert worth["uniform"] == pytest.approx(200)
    spread = sum(squares(label, 619 / 720) for label in SURE) / 720
    assert worth["neyman"] == pytest.approx(1 / ((best / Z) ** 2 / spread + 1 / 400), rel=1e-4)


def test_it_says_what_was_expected_of_the_batch_that_asked_and_what_came(tune: Tune) -> None:
    (past,) = json.loads(tune(*COMMANDED.split(), "--json"))["past"]
    assert (past["batch"], past["policy"]) == (2, "uncertainty")
    assert past["asked_by"] == yaml.safe_load(LOOP)["label_requests"]
    assert (past["asked"], past["answered"], past["inferences"]) == (200, 160, 400.0)
    assert past["mean"] == pytest.approx((3 * 74 + 52) / (3 * 80 + 80))
    # of 160 labels, 100 are of all that are called toxic, and 60 of the 300 others
    then = (1 - 0.2) / 0.2 * (285 * (1 - 0.8625) ** 2 + 15 * 0.8625**2)
    assert past["expected_half_width"] == pytest.approx(Z * sqrt(then) / 400, rel=0.01)
    # four of five answered: each was there with 0.8 of its probability
    few = (1 - 0.8 / 3) * 9 * (74 * (1 - 0.85625) ** 2 + 6 * 0.85625**2)
    all_ = (1 - 0.8) * (52 * (1 - 0.85625) ** 2 + 28 * 0.85625**2)
    assert past["realised_half_width"] == pytest.approx(Z * sqrt(few + all_) / 320)


def _named(policy: Row) -> str:
    """A policy by what tells it from the others."""
    if "measure" in policy:
        return f"{policy['measure']} {policy['floor']}"
    return str(policy.get("allocation", policy["policy"]))
