"""Several raters through the stages: what the ledger, datasets and measurements say of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import krippendorff
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config, load
from processor.errors import ConfigError, DataRefused
from processor.feedback.dawid_skene import Votes, coded, fit
from processor.feedback.question import question_of
from processor.stages import compile as compile_
from processor.stages import measure, soft_labels
from processor.stages.base import Context
from processor.stages.ratings import votes
from processor.stages.recipes import recipes
from processor.table import Table
from processor.tables import DATASETS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse

Row = dict[str, Any]

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BATCH = Batch(1, (), T0, "run", "hash", "code")
INFERENCES = 120
LOOP: Row = {
    "loop": "review",
    "model": "bot",
    "outcome": {
        "metric": "right",
        "signal": "label",
        "positive": "yes",
        "negative": "no",
        "window": "1h",
        "default": "negative",
        "consensus": {"rule": "majority"},
    },
    "datasets": [
        {"name": "plain", "formats": ["parquet"]},
        {"name": "soft", "formats": ["parquet"], "labels": {"consensus": "dawid_skene"}},
    ],
}
SKILL = {"ann": 0.95, "bob": 0.85, "cat": 0.7, "dan": 0.3}


def planted() -> tuple[list[Row], list[Row]]:
    """Inferences, and votes of up to four raters on each but the last ten; `ann` changes some."""
    rng = Random(9)
    outputs = [output(f"i{number:03d}") for number in range(INFERENCES)]
    said: list[Row] = []
    for one in outputs[:-10]:
        name, right = one["inference_id"], rng.choice(("yes", "no", "no"))
        wrong = "no" if right == "yes" else "yes"
        for rater, skill in SKILL.items():
            if rng.random() < 0.75:
                value = right if rng.random() < skill else wrong
                said.append(vote(f"{name}-{rater}", name, rater, value))
                if rater == "ann" and rng.random() < 0.2:
                    told = {"op": rng.choice(("UPDATE", "RETRACT")), "supersedes": f"{name}-ann"}
                    said.append(vote(f"{name}-again", name, rater, wrong, minute=3, **told))
    lonely = outputs[-1]["inference_id"]  # its one vote is taken back
    back = vote("b", lonely, "ann", "yes", minute=3, op="RETRACT", supersedes="a")
    return outputs, [*said, vote("a", lonely, "ann", "yes"), back]


def output(name: str) -> Row:
    base = {"inference_id": name, "event_time": T0, "session_id": "s", "log_keep_prob": 1.0}
    base |= {"role": "PRIMARY", "status": "OK", "model_name": "bot", "model_version": "1"}
    return base | {"features_num": [("x", 1.0)], "features_str": [], "training_allowed": True}


def vote(name: str, of: str, rater: str, value: str, minute: int = 1, **told: Any) -> Row:  # noqa: ANN401  # any field
    base = {"event_id": name, "event_time": T0 + minute * MINUTE, "kind": "LABEL", "op": "CREATE"}
    base |= {"metric": "right", "level": "INFERENCE", "inference_id": of, "rater_id": rater}
    return {**base, "value_str": value, "rater_kind": "CROWD", **told}


def typed(table: Table, row: Row, offset: int) -> Row:
    origin = {"batch_id": 1, "topic": table.name, "partition": 0, "offset": offset}
    lead = {"batch_id": 1, "attempt": 1, "defects": []}
    lead["origin"] = origin | {"timestamp": T0, "schema": "s"}
    return {**dict.fromkeys(table.schema.names), **lead, **row}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return configured(tmp_path_factory.mktemp("raters"), LOOP)


def configured(home: Path, loop: Row) -> Config:
    (home / "loops").mkdir()
    (home / "loops" / "review.yaml").write_text(yaml.safe_dump(loop))
    return load(None, [f"loops={home / 'loops'}", f"warehouse={home / 'warehouse'}"], {})


@pytest.fixture(scope="module")
def context(config: Config, spark_session: SparkSession) -> Context:
    """A warehouse after one batch whose windows are all closed."""
    place = Warehouse(config.warehouse)
    outputs, said = planted()
    for name, rows in (("inferences", outputs), ("feedback", said), ("sessions", [])):
        table = TYPED[name]
        filled = [typed(table, row, offset) for offset, row in enumerate(rows)]
        place.append_once(table, filled, "test", 1)
    mark = dict.fromkeys(PROOFS.schema.names) | {"batch_id": 1, "watermark": T0 + 61 * MINUTE}
    place.append_once(PROOFS, [mark], "test", 1)
    made = Context(config, place, "run", lambda: spark_session, lambda _: None)
    compile_.run(made, BATCH)
    measure.run(made, BATCH)
    return made


def stand() -> dict[str, dict[str, str]]:
    """By inference, what each rater says at last."""
    found: dict[str, dict[str, str]] = {}
    for said in planted()[1]:
        of = found.setdefault(said["inference_id"], {})
        if said["op"] == "RETRACT":
            del of[said["rater_id"]]
        else:
            of[said["rater_id"]] = said["value_str"]
    return found


def majority(said: dict[str, str]) -> str:
    counts = Counter(said.values())
    if not counts:
        return "RETRACTED"
    if counts["yes"] == counts["no"]:
        return "TIED"
    return "POSITIVE" if counts["yes"] > counts["no"] else "NEGATIVE"


def of(context: Context, table: Table, **equal: object) -> list[Row]:
    where = [(name, "=", value) for name, value in equal.items()]
    rows: list[Row] = context.warehouse.rows(table, where=where).to_pylist()
    return rows


def test_the_ledger_has_what_most_say_and_ties_stay(context: Context) -> None:
    rows = {row["inference_id"]: row for row in of(context, OUTCOMES)}
    wanted = {name: majority(said) for name, said in stand().items()}
    silent = {f"i{number:03d}" for number in range(INFERENCES)} - set(wanted)
    assert {name: rows[name]["state"] for name in rows} == wanted | dict.fromkeys(
        silent, "NEGATIVE"
    )
    assert set(wanted.values()) == {"POSITIVE", "NEGATIVE", "TIED", "RETRACTED"}
    assert {rows[name]["timing"] for name in silent} == {"DEFAULT"}
    told = Counter(row["state"] for row in rows.values())
    counted = {row["metric"]: row["n"] for row in of(context, MEASUREMENTS, window="all")}
    assert counted["outcomes.tied"] == told["TIED"]
    assert counted["outcomes.known"] == told["POSITIVE"] + told["NEGATIVE"]


def test_a_dataset_drops_ties(context: Context) -> None:
    (version,) = of(context, DATASETS, dataset="plain")
    states = Counter(map(majority, stand().values()))
    dropped = {"tied": states["TIED"], "retracted": states["RETRACTED"]}
    assert dict(version["dropped"]) == dropped
    assert version["row_count"] == INFERENCES - sum(dropped.values())
    manifest = json.loads(Path(version["manifest_uri"]).read_text(encoding="utf-8"))
    assert manifest["labels"] is None
    assert "label_prob" not in manifest["columns"]


def test_agreement_is_that_of_the_reference(context: Context) -> None:
    (row,) = of(context, MEASUREMENTS, metric="agreement.right.alpha")
    place = {"yes": 1.0, "no": 0.0}
    said = [
        [place[each[rater]] if rater in each else np.nan for rater in SKILL]
        for each in stand().values()
    ]
    wanted = krippendorff.alpha(np.array(said).T, level_of_measurement="nominal")
    assert row["value"] == pytest.approx(wanted, abs=1e-9)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert row["n"] == sum(len(each) >= 2 for each in stand().values())
    assert (row["window"], row["model_version"]) == ("batch", "all")


def test_soft_labels_are_those_of_the_fit(context: Context) -> None:
    (version,) = of(context, DATASETS, dataset="soft")
    said = sorted((name, *each) for name, told in stand().items() for each in told.items())
    (units, unit), (raters, rater), (labels, label) = map(coded, zip(*said, strict=True))
    wanted = fit(Votes(unit, rater, label))
    folder = Path(version["manifest_uri"]).parent / "parquet"
    rows = {row["inference_id"]: row for row in pq.read_table(folder).to_pylist()}
    rated = {name: row for name, row in rows.items() if row["label_prob"] is not None}
    best = {name: place for name, place in zip(units, wanted.best(), strict=True) if place >= 0}
    assert {name: row["label"] for name, row in rated.items()} == {
        name: labels[place] for name, place in best.items()
    }
    chances = dict(zip(units, wanted.posterior[:, labels.index("yes")], strict=True))
    assert all(row["label_prob"] == chances[name].round(6) for name, row in rated.items())
    assert {row["label"] for name, row in rows.items() if name not in rated} == {"no"}
    quality = json.loads(Path(version["manifest_uri"]).read_text(encoding="utf-8"))["quality"]
    for number, name in enumerate(raters):
        told = quality[f"dawid_skene.{name}.yes.no"]
        assert told == wanted.confusion[number, labels.index("yes"), labels.index("no")].round(6)
    assert quality["dawid_skene.votes"] == len(said)
    assert dict(version["quality"])["dawid_skene.settled"] == 1
    assert "dawid_skene.ann.yes.yes" not in dict(version["quality"])


def test_more_votes_than_the_driver_takes_are_refused(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soft_labels, "MOST_VOTES", 100)
    with pytest.raises(DataRefused, match="more than 100 votes"):
        soft_labels.soft_labels(context, context.config.loop["review"], BATCH)


def test_where_nobody_voted_nothing_is_fitted(context: Context) -> None:
    loop = context.config.loop["review"]
    other = loop.model_copy(update={"outcome": loop.outcome.model_copy(update={"metric": "n"})})
    found = soft_labels.soft_labels(context, other, BATCH)
    assert (found.frame.collect(), found.fit, found.confusion) == ([], {}, {})


def test_raters_are_heard_whatever_the_rule_of_the_ledger(context: Context) -> None:
    loop = context.config.loop["review"]
    told = loop.outcome.model_copy(update={"consensus": None})
    question = question_of(loop, told)
    assert question.rule.poll is None
    rows = votes(context, loop, question, BATCH).toArrow().to_pylist()
    found = {r["inference_id"]: {v["rater"]: v["value"] for v in r["votes"]} for r in rows}
    assert found == {name: said for name, said in stand().items() if said}


def test_fitted_labels_need_a_side(tmp_path: Path) -> None:
    outcome = {"metric": "m", "signal": "dwell", "window": "1h"}
    with pytest.raises(ConfigError, match="no value of 'm' is positive"):
        recipes(configured(tmp_path, {**LOOP, "outcome": outcome}))
