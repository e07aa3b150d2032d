"""What came late is a label where a dataset says so, and only where it was the last word."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config, load
from processor.datasets import supervised
from processor.errors import ConfigError
from processor.feedback.standing import deciding, latest, latest_or_late
from processor.loops import DatasetConfig, LabelsConfig, LoopConfig
from processor.stages.base import Context
from processor.stages.choices import candidates, choose, parent_of
from processor.stages.recipes import recipes
from processor.tables import BATCHES, DATASETS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.population import MARK, SAID, Row
from tests.spark.population_rows import outcome, put, typed

ABLE = [n for n, said in enumerate(SAID) if said["training_allowed"]][:7]
CHANGED, FIRST, EARLIER, SILENT, BACK, SAME, LAST = ABLE
NOON = MARK - timedelta(days=1)
Told = tuple[str, str | None, int | None]
"""A timing, a value (None: taken back), and the minute of the answer (None: there is none)."""
SAYS: dict[int, dict[int, Told]] = {
    1: {
        CHANGED: ("ON_TIME", "yes", 10),
        EARLIER: ("ON_TIME", "yes", 10),
        SILENT: ("DEFAULT", "no", None),
        BACK: ("ON_TIME", "yes", 10),
        SAME: ("ON_TIME", "yes", 10),
        LAST: ("ON_TIME", "yes", 10),
    },
    2: {
        CHANGED: ("LATE", "no", 20),
        FIRST: ("LATE", "yes", 20),
        EARLIER: ("LATE", "no", 5),
        SILENT: ("LATE", "yes", 20),
        BACK: ("LATE", None, 20),
    },
    3: {LAST: ("LATE", "no", 20), FIRST: ("OUTSIDE", "no", 90)},
    4: {EARLIER: ("LATE", "no", 6)},
}
USED = {
    1: dict.fromkeys((CHANGED, EARLIER, BACK, SAME, LAST), "yes") | {SILENT: "no"},
    2: {CHANGED: "no", FIRST: "yes", SILENT: "yes"},
    3: {LAST: "no"},
    4: {},
}
"""What each increment has, where late answers are used."""


def at(minute: int | None) -> datetime | None:
    return None if minute is None else NOON + timedelta(minutes=minute)


def row(number: int, batch: int, told: Told) -> Row:
    timing, value, minute = told
    state = "RETRACTED" if value is None else "POSITIVE" if value == "yes" else "NEGATIVE"
    said: Row = {"inference_id": f"i{number}", "timing": timing, "state": state, "value": value}
    said |= {"reward": None, "credit": 1.0, "solicit_prob": None, "answered_at": at(minute)}
    return {**outcome(said, batch, 1), "response_time": SAID[number]["response_time"]}


def loop(**told: Any) -> LoopConfig:  # noqa: ANN401  # any key
    outcome = {"metric": "x", "from": "ground_truth", "window": "1d", **told}
    datasets = [
        {"name": f"{mode}-{late}", "mode": mode, "late": late}
        for mode in ("incremental", "full")
        for late in ("use", "leave")
    ]
    return LoopConfig.model_validate(
        {"loop": "l", "model": "m", "outcome": outcome, "datasets": datasets}
    )


@pytest.fixture(scope="module", params=[{}, {"late": "90d"}], ids=["for ever", "bounded"])
def context(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    spark_session: SparkSession,
) -> Context:
    base = load(None, [f"warehouse={tmp_path_factory.mktemp('late')}"], {})
    config: Config = base.model_copy(update={"loop": {"l": loop(**request.param)}})
    made = Warehouse(config.warehouse)
    for batch, says in SAYS.items():
        born = ABLE if batch == 1 else []
        put(made, TYPED["inferences"], [typed(SAID[n], batch) for n in born], batch)
        put(made, OUTCOMES, [row(number, batch, told) for number, told in says.items()], batch)
        put(made, PROOFS, [{"batch_id": batch, "watermark": MARK}], batch)
        plan = {"batch_id": batch, "planned_at": MARK, "topic": "t", "partition": 0}
        put(made, BATCHES, [{**plan, "start_offset": 0, "end_offset": 1}], batch)
        names = [each.name for each in config.loop["l"].datasets]
        versions = [{"batch_id": batch, "dataset": name, "version": f"v{batch}"} for name in names]
        put(made, DATASETS, versions, batch)
    return Context(config, made, "run", lambda: spark_session, lambda _: None)


def made_of(number: int) -> Batch:
    return Batch(number, (), MARK, "run", "h", "c")


def version(context: Context, name: str, number: int) -> dict[int, str]:
    """The labels of the rows that a version of all batches up to `number` has."""
    of = next(each for each in recipes(context.config) if each.recipe.config.name == name)
    batch = made_of(number)
    parent = parent_of(context.warehouse, number, name)
    found = candidates(context, batch, of.loop, of.recipe, parent).frame
    rows = supervised.decide(found, {("",): 1.0}).where("reason = 'kept'")
    return {int(each["inference_id"][1:]): each["label"] for each in rows.collect()}


@pytest.mark.parametrize("batch", SAYS)
def test_a_version_has_what_came_late_where_it_is_the_last_word(
    context: Context, batch: int
) -> None:
    assert version(context, "incremental-use", batch) == USED[batch]
    together: dict[int, str] = {}
    for number in range(1, batch + 1):
        together |= USED[number]
        if number == 2:
            del together[BACK]
    assert version(context, "full-use", batch) == (together if USED[batch] else {})


@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_only_rows_that_became_known_or_changed_are_new(context: Context, mode: str) -> None:
    of = next(each for each in recipes(context.config) if each.recipe.config.name == f"{mode}-use")
    for batch, changed in USED.items():
        choice = choose(context, made_of(batch), of.loop, of.recipe)
        choice.release()
        assert choice.fresh == len(changed)


@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_elsewhere_nothing_late_is_a_label(context: Context, mode: str) -> None:
    assert version(context, f"{mode}-leave", 1) == USED[1]
    assert {number: version(context, f"{mode}-leave", number) for number in (2, 3, 4)} == {
        2: {},
        3: {},
        4: {},
    }


def test_one_inference_is_told_the_same_as_many(spark: SparkSession) -> None:
    rng, kinds = (
        Random(3),
        (("ON_TIME",), ("DEFAULT",), ("LATE",), ("OUTSIDE",), ("ON_TIME", "LATE")),
    )
    rows = [
        {
            "inference_id": f"i{number}",
            "batch_id": batch,
            "timing": timing,
            "answered_at": None if timing == "DEFAULT" else at(rng.randint(0, 3)),
        }
        for number in range(400)
        for batch in sorted(rng.sample(range(1, 6), rng.randint(1, 4)))
        for timing in rng.choice(kinds)
    ]
    frame = spark.createDataFrame(
        [tuple(each.values()) for each in rows],
        "inference_id string, batch_id bigint, timing string, answered_at timestamp",
    )
    for late, many in ((False, latest), (True, latest_or_late)):
        found = {
            each["inference_id"]: (each["batch_id"], each["timing"])
            for each in many(frame, "batch_id", "timing").collect()
        }
        wanted = {}
        for name, mine in groupby(rows, lambda each: each["inference_id"]):
            one = deciding(({**each, "batch": each["batch_id"]} for each in mine), late=late)
            if one is not None:
                wanted[name] = (one["batch_id"], one["timing"])
        assert found == wanted
        assert ("LATE" in {timing for _, timing in found.values()}) is late


def test_fitted_labels_go_without_late_answers() -> None:
    with pytest.raises(ValidationError, match="fitted to votes on time"):
        DatasetConfig(name="d", late="use", labels=LabelsConfig(consensus="dawid_skene"))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"consensus": {"rule": "majority"}}, "votes are weighed with those on time"),
        (
            {"from": "feedback", "level": "session", "credit": {"rule": "uniform"}},
            "an answer that several share",
        ),
    ],
)
def test_what_is_weighed_with_others_goes_without_late_answers(
    told: dict[str, Any], why: str
) -> None:
    config = load(None, [], {}).model_copy(update={"loop": {"l": loop(**told)}})
    with pytest.raises(ConfigError, match=why) as refusal:
        recipes(config)
    assert refusal.value.remedy == "leave `late` out"
