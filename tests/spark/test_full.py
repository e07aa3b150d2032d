"""A full version is what its increments come to; a decision that is explained is the one made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config, load
from processor.datasets import supervised
from processor.loops import LoopConfig
from processor.stages.base import Context
from processor.stages.choices import candidates, chances, parent_of
from processor.stages.decision import decided
from processor.stages.recipes import Source, recipes
from processor.tables import BATCHES, DATASETS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.population import KNOWN, MARK, SAID, Row
from tests.spark.population_rows import outcome, put, typed

BEGUN = {1: range(60), 2: range(60, 100)}
"""The inferences that land, and become known, in a batch."""
NEWS: Mapping[int, Mapping[int, Row]] = {
    2: {3: {"state": "RETRACTED", "value": None}},
    3: {
        0: {"state": "RETRACTED", "value": None},
        2: {"value": "other"},
        3: {"value": "again"},
        5: {"timing": "LATE", "value": "never"},
        62: {"value": "other", "credit": 0.25},
    },
    4: {6: {"timing": "LATE", "value": "never"}},
}
"""What a later batch learns of inferences: taken back, changed, known again, or too late."""
LAST_KNOWN = 3
SAMPLINGS: Mapping[str, dict[str, Any]] = {
    "all": {"policy": "all"},
    "rate": {"policy": "uniform", "rate": 0.5},
}
MODES = ("incremental", "full")
Chosen = dict[str, tuple[Any, ...]]


def loop(mode: str) -> LoopConfig:
    told = {
        "loop": "l",
        "model": "m",
        "outcome": {"metric": "x", "from": "ground_truth", "window": "1d"},
        "datasets": [
            {"name": name, "mode": mode, "sampling": sampling}
            for name, sampling in SAMPLINGS.items()
        ],
    }
    return LoopConfig.model_validate(told)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    base = load(None, [f"warehouse={tmp_path_factory.mktemp('full')}"], {})
    return base.model_copy(update={"loop": {"l": loop("incremental")}})


@pytest.fixture(scope="module")
def context(config: Config, spark_session: SparkSession) -> Context:
    """Tables of four batches; each of the first three made a version of every dataset."""
    made = Warehouse(config.warehouse)
    for batch in sorted(BEGUN.keys() | NEWS.keys()):
        born = BEGUN.get(batch, range(0))
        put(made, TYPED["inferences"], [typed(SAID[n], batch) for n in born], batch)
        put(
            made,
            OUTCOMES,
            [outcome(row, batch, 1 if n < 60 else 2) for n, row in known(batch)],
            batch,
        )
        put(made, PROOFS, [{"batch_id": batch, "watermark": MARK}], batch)
        at = {"batch_id": batch, "planned_at": MARK + timedelta(days=batch), "partition": 0}
        put(made, BATCHES, [{**at, "topic": "t", "start_offset": 0, "end_offset": 1}], batch)
        versions = [{"batch_id": batch, "dataset": d, "version": f"v{batch}"} for d in SAMPLINGS]
        put(made, DATASETS, versions if batch <= LAST_KNOWN else [], batch)
    return Context(config, made, "run", lambda: spark_session, lambda _: None)


def known(batch: int) -> Iterator[tuple[int, Row]]:
    """The inferences that a batch has news of, with what it says of them."""
    for number in BEGUN.get(batch, ()):
        yield number, KNOWN[number]
    for number, said in NEWS.get(batch, {}).items():
        yield number, {**KNOWN[number], "state": "POSITIVE", **said}


def source(mode: str, name: str, config: Config) -> Source:
    told = config.model_copy(update={"loop": {"l": loop(mode)}})
    return next(each for each in recipes(told) if each.recipe.config.name == name)


def chosen(context: Context, mode: str, name: str, number: int) -> Chosen:
    """The rows of a version, by inference."""
    of, batch = source(mode, name, context.config), Batch(number, (), MARK, "run", "h", "c")
    parent = parent_of(context.warehouse, number, name)
    found = candidates(context, batch, of.loop, of.recipe, parent).frame
    rows = supervised.decide(found, chances(found, of.recipe)).where("reason = 'kept'")
    return {row["inference_id"]: tuple(row) for row in rows.drop("origins").collect()}


@pytest.mark.parametrize("name", SAMPLINGS)
def test_the_increments_together_are_the_full_version(context: Context, name: str) -> None:
    increments = {n: chosen(context, "incremental", name, n) for n in range(1, LAST_KNOWN + 1)}
    together: Chosen = {}
    for number, rows in increments.items():
        for news, said in known(number):
            if said.get("timing") != "LATE":
                together.pop(f"i{news}", None)
        together |= rows
    assert chosen(context, "full", name, LAST_KNOWN) == together
    assert "i0" not in together
    assert {len(rows) > 10 for rows in (increments[1], increments[2])} == {True}
    able = [n for n in (2, 3, 62) if f"i{n}" in together]
    assert able
    if name == "all":
        assert {together[f"i{n}"][1] for n in (2, 62)} == {"other"}
        assert together["i3"][1] == "again"
    else:
        assert 20 < len(together) < 75


def test_a_full_version_is_the_same_however_rows_lie_and_none_is_made_without_news(
    context: Context,
) -> None:
    first = chosen(context, "full", "rate", LAST_KNOWN)
    context.spark.conf.set("spark.sql.shuffle.partitions", "5")
    try:
        assert chosen(context, "full", "rate", LAST_KNOWN) == first
    finally:
        context.spark.conf.set("spark.sql.shuffle.partitions", "1")
    assert chosen(context, "full", "rate", LAST_KNOWN + 1) == {}


def draw(text: str) -> float:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:13], 16) / 16**13


def test_a_decision_that_is_explained_is_the_one_that_was_made(context: Context) -> None:
    rows = chosen(context, "incremental", "rate", 2)
    of = source("incremental", "rate", context.config)
    parent = parent_of(context.warehouse, 2, "rate")
    kept = next(int(name[1:]) for name in rows)
    able = (n for n in BEGUN[2] if SAID[n]["training_allowed"] and KNOWN[n]["state"] == "POSITIVE")
    left = next(number for number in able if f"i{number}" not in rows)
    for number, reason in ((kept, "kept"), (left, "not_sampled")):
        told = decided(context, of, parent, 2, f"i{number}")
        split, sampling, weight = (told[name] for name in ("split", "sampling", "weight"))
        drawn = draw(f"sample|rate|0|i{number}")
        assert (told["reason"], sampling["draw"], sampling["inclusion_prob"]) == (
            reason,
            drawn,
            0.5,
        )
        assert (drawn < 0.5) == (reason == "kept")
        assert sampling["cells"] == [{"policy": "uniform", "cell": ""}]
        assert (split["name"], split["draw"]) == (f"s{number}", draw(f"split|rate|0|s{number}"))
        side = next((s for s, end in split["below"].items() if split["draw"] < end), "train")
        assert split["side"] == side
        assert split["below"] == {"test": 0.1, "validation": 0.2}
        asked = KNOWN[number]["solicit_prob"] or 1.0
        worth = KNOWN[number]["credit"] / SAID[number]["log_keep_prob"] / asked / 0.5
        assert weight["weight"] == pytest.approx(worth, rel=1e-12)
