"""What was in quarantine is decoded again as a batch, and nothing that was said before changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from processor.avro import defects
from processor.avro.contracts import contract
from processor.errors import ConfigError, DataRefused
from processor.local.stack import Stack
from processor.stages.base import Accepted
from processor.stages.pipeline import STAGES
from processor.stages.quarantine import standing
from processor.stages.selection import Selection, Span
from processor.warehouse import Warehouse
from tests.kafka.lab import DATASET, Lab, Record, answered, body, by_number, said, wider

UNTIL_KNOWN = 4_000  # an id that the folder learns later
GOOD, LATER, BAD = 12, 5, 3
ALL_DEFECTS = {"max_share": 1.0}


def folder(home: Path, **schemas: str) -> Path:
    """A folder of schemas, with their ids."""
    place = home / "schemas"
    place.mkdir(parents=True, exist_ok=True)
    for number, text in schemas.items():
        (place / f"{number}.avsc").write_text(text)
    index = {number.removeprefix("n"): f"{number}.avsc" for number in schemas}
    (place / "index.json").write_text(json.dumps(index))
    return place


def learn(home: Path) -> None:
    """What the folder does not know at first."""
    folder(
        home,
        n1=contract("InferenceEvent").text,
        n2=contract("GroundTruth").text,
        **{f"n{UNTIL_KNOWN}": wider("InferenceEvent")},
    )


def filled(lab: Lab) -> None:
    """Inferences that can be read, that cannot yet, and that never will be; all are answered."""
    text, truth = contract("InferenceEvent").text, contract("GroundTruth").text
    names = [f"good {n}" for n in range(GOOD)]
    later = [f"later {n}" for n in range(LATER)]
    lab.send("inferences", [Record(by_number(1, body(said(n), text))) for n in names])
    unread = [Record(by_number(UNTIL_KNOWN, body(said(n), wider("InferenceEvent")))) for n in later]
    lab.send("inferences", unread, partition=1)
    lab.send("inferences", [Record(b"{}") for _ in range(BAD)])
    truths = [Record(by_number(2, body(answered(n), truth))) for n in (*names, *later)]
    lab.send("ground_truth", [*truths, Record(None)])


@pytest.fixture(scope="module")
def first(
    stack: Stack, spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Lab:
    """A warehouse with one batch, some of it in quarantine; a registry is not there at all."""
    home = tmp_path_factory.mktemp("lab")
    schemas = folder(home, n1=contract("InferenceEvent").text, n2=contract("GroundTruth").text)
    settings = {"registry": {"url": None, "directory": str(schemas)}, "defects": ALL_DEFECTS}
    lab = Lab(spark_session, stack.bootstrap_servers, None, home, settings=settings).create()
    filled(lab)
    assert lab.run() is not None
    return lab


Copied = Callable[[str], Lab]


@pytest.fixture
def copied(first: Lab, tmp_path: Path) -> Copied:
    """The first batch as it was, in a warehouse of its own."""

    def copy(name: str) -> Lab:
        return moved(first.copy(tmp_path / name))

    return copy


def moved(lab: Lab) -> Lab:
    """With the schemas of its own folder."""
    return lab.with_settings(registry={"url": None, "directory": str(lab.home / "schemas")})


LAST = ("compile", "solicit", "measure", "evaluate", "decide", "publish", "report")


def recovered(lab: Lab, batch: int) -> set[str]:
    """The inferences that a batch found valid."""
    rows = lab.rows("inferences")
    return {r["inference_id"] for r in rows if r["batch_id"] == batch and not r["defects"]}


def outcomes(lab: Lab, batch: int) -> set[str]:
    return {row["inference_id"] for row in lab.rows("outcomes") if row["batch_id"] == batch}


def in_dataset(lab: Lab, batch: int) -> set[str]:
    return {row["inference_id"] for row in lab.rows("dataset_rows") if row["batch_id"] == batch}


def rows_of(lab: Lab, batch: int) -> Counter[str]:
    """What every table said of a batch, but what its runs took."""
    tables = {path.parent.name for path in lab.warehouse.glob("*/_delta_log")} - {"runs"}
    return Counter(
        f"{table}: {json.dumps(row, default=str, sort_keys=True)}"
        for table in tables
        for row in lab.rows(table)
        if row["batch_id"] == batch
    )


def account(lab: Lab, as_of: int) -> tuple[int, int, int]:
    """Landed, valid and quarantined as of a batch, by the last attempt at each record."""
    landed = sum(row["landed"] for row in lab.rows("proofs") if row["batch_id"] <= as_of)
    last = [tried[-1] for tried in lab.attempts(as_of).values()]
    bad = sum(1 for row in last if row["defects"])
    return landed, len(last) - bad, bad


@dataclass(frozen=True)
class Once:
    """A warehouse that was replayed, what was said of it meanwhile, and its first batch before."""

    lab: Lab
    words: tuple[str, ...]
    before: Counter[str]


@pytest.fixture(scope="module")
def once(first: Lab, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """The first batch, then a replay of everything when all schemas are known."""
    lab = moved(first.copy(tmp_path_factory.mktemp("once") / "home"))
    before = rows_of(lab, 1)
    learn(lab.home)
    done = lab.replay()
    assert done.taken is not None
    assert (done.taken.batch, done.finished) == (2, None)
    return Once(lab, tuple(lab.said), before)


def test_what_became_readable_is_known_from_the_batch_of_the_replay_on(once: Once) -> None:
    lab = once.lab
    later = {f"later {n}" for n in range(LATER)}
    assert outcomes(lab, 1) == in_dataset(lab, 1) == {f"good {n}" for n in range(GOOD)}
    assert rows_of(lab, 1) == once.before
    assert outcomes(lab, 2) == in_dataset(lab, 2) == later
    again = [row for row in lab.rows("inferences") if row["attempt"] > 1]
    assert {row["inference_id"] for row in again} == later
    for row in again:
        assert (row["batch_id"], row["attempt"], row["origin"]["batch_id"]) == (2, 2, 1)
    assert {r["version"] for r in lab.rows("datasets")} == {"v000001", "v000002"}


def test_as_of_every_batch_landed_is_valid_and_quarantined(once: Once) -> None:
    landed = 2 * (GOOD + LATER) + BAD + 1
    assert account(once.lab, 1) == (landed, 2 * GOOD + LATER, LATER + BAD + 1)
    assert account(once.lab, 2) == (landed, 2 * (GOOD + LATER), BAD + 1)
    for as_of in (1, 2):
        told = standing(Warehouse(str(once.lab.warehouse)), as_of)
        assert told["defective"] == account(once.lab, as_of)[2]
    assert (told["replayed"], told["recovered"]) == (LATER, LATER)


def test_a_replay_lands_nothing_and_leaves_the_cut_where_it_was(once: Once) -> None:
    (plan,) = {row["replay"] for row in planned(once.lab, 2)}
    assert Selection.parse(plan) == Selection()
    ends = {(r["topic"], r["partition"]): r["end_offset"] for r in planned(once.lab, 1)}
    for row in planned(once.lab, 2):
        end = ends[row["topic"], row["partition"]]
        assert (row["start_offset"], row["end_offset"]) == (end, end)
    assert once.lab.replay().taken is None, "twice is once"
    assert once.lab.run() is None


def planned(lab: Lab, batch: int) -> list[dict[str, Any]]:
    return [row for row in lab.rows("batches") if row["batch_id"] == batch]


def test_with_nothing_new_to_say_there_is_no_batch(copied: Copied) -> None:
    lab = copied("nothing")
    before = sum((rows_of(lab, n) for n in (1, 2)), Counter())
    assert lab.replay().taken is None
    assert sum((rows_of(lab, n) for n in (1, 2)), Counter()) == before


def test_a_range_of_a_topic_that_was_never_read_is_refused(copied: Copied) -> None:
    unread = Selection.of([], [Span("other", 1, 0, 1000)])
    with pytest.raises(ConfigError, match="no batch has read a topic 'other'"):
        copied("refused").replay(unread)


def test_a_selection_takes_what_it_names_and_nothing_else(copied: Copied) -> None:
    lab = copied("some").skip(2, *LAST)
    learn(lab.home)
    topic = lab.topic("inferences")
    nothing = Selection.of([defects.TOMBSTONE], [])
    assert lab.replay(nothing).taken is None
    one = Selection.of([defects.UNKNOWN_SCHEMA], [Span(topic, 1, 1, 3)])
    assert lab.replay(one).taken is not None
    assert recovered(lab, 2) == {"later 1", "later 2"}
    lab.skip(3, *LAST)
    elsewhere = Selection.of([], [Span(topic, 0, 0, 1000)])
    assert lab.replay(elsewhere).taken is None
    rest = Selection.of([defects.UNKNOWN_SCHEMA, defects.MALFORMED], [])
    assert lab.replay(rest).taken is not None
    assert recovered(lab, 3) == {"later 0", "later 3", "later 4"}
    assert account(lab, 3)[2] == BAD + 1


def test_another_defect_is_another_attempt_and_may_be_mended_later(copied: Copied) -> None:
    lab = copied("twice").skip(2, *LAST)
    lost = json.dumps({"type": "record", "name": "Other", "fields": []})
    known = {"n1": contract("InferenceEvent").text, "n2": contract("GroundTruth").text}
    folder(lab.home, **known, **{f"n{UNTIL_KNOWN}": lost})
    assert lab.replay().taken is not None
    assert lab.codes(2) == [defects.SCHEMA_INCOMPATIBLE] * LATER
    assert account(lab, 2) == account(lab, 1)
    assert lab.replay().taken is None
    told = standing(Warehouse(str(lab.warehouse)))
    assert (told["defective"], told["replayed"], told["recovered"]) == (LATER + BAD + 1, LATER, 0)
    learn(lab.home)
    lab.skip(3, *LAST)
    assert lab.replay(Selection.of([defects.UNKNOWN_SCHEMA], [])).taken is None, "of the last"
    assert lab.replay(Selection.of([defects.SCHEMA_INCOMPATIBLE], [])).taken is not None
    assert {row["attempt"] for row in lab.rows("inferences") if row["batch_id"] == 3} == {3}
    assert len(recovered(lab, 3)) == LATER
    told = standing(Warehouse(str(lab.warehouse)))
    assert (told["defective"], told["replayed"], told["recovered"]) == (BAD + 1, 2 * LATER, LATER)
    as_it_was = standing(Warehouse(str(lab.warehouse)), 1)
    assert (as_it_was["defective"], as_it_was["replayed"]) == (LATER + BAD + 1, 0)


def test_the_quarantine_is_told_by_code_with_the_first_record_of_each(first: Lab) -> None:
    told = standing(Warehouse(str(first.warehouse)))
    found = {(row["table"], row["code"]): row for row in told["codes"]}
    expected = {
        ("inferences", defects.UNKNOWN_SCHEMA): (LATER, 1, 0),
        ("inferences", defects.UNKNOWN_FRAMING): (BAD, 0, GOOD),
        ("ground_truth", defects.TOMBSTONE): (1, 0, GOOD + LATER),
    }
    assert {
        key: (row["n"], row["example"]["partition"], row["example"]["offset"])
        for key, row in found.items()
    } == expected
    assert str(UNTIL_KNOWN) in found["inferences", defects.UNKNOWN_SCHEMA]["detail"]


class Stopped(BaseException):
    """As if the process had ended here."""


def test_stopped_anywhere_and_run_again_a_replay_ends_the_same(copied: Copied, once: Once) -> None:
    broken = copied("stopped")
    learn(broken.home)
    assert len(once.words) > len(STAGES)
    for word in once.words:
        # What the other replay has published stands on the same topics, and is not sent again.
        if not word.startswith("publishing") and str(once.lab.home) not in word:
            stop_at(broken, word)
    assert broken.replay().finished is not None
    for batch in (1, 2):
        assert told(rows_of(broken, batch), broken) == told(rows_of(once.lab, batch), once.lab)


def stop_at(lab: Lab, word: str) -> None:
    """Replays, or finishes what was begun, and ends at the given word of progress."""

    def say(text: str) -> None:
        if text == word:
            raise Stopped

    with pytest.raises(Stopped):
        lab.replay(say=say)


def told(rows: Counter[str], lab: Lab) -> Counter[str]:
    """Without what a run is called, and when and where it was."""
    found: Counter[str] = Counter()
    for text, count in rows.items():
        table, _, row = text.partition(": ")
        kept = json.loads(row.replace(str(lab.home), "HOME"))
        for name in ("run_id", "planned_at", "created_at", "manifest_uri", "decided_at"):
            kept.pop(name, None)
        if table != "receipts":
            found[f"{table}: {json.dumps(kept, sort_keys=True)}"] += count
    return found


def test_too_many_defects_stop_a_batch_before_compile_until_they_are_accepted(
    copied: Copied,
) -> None:
    lab = copied("refused").with_settings(defects={"max_share": 0.1, "min_rows": 20})
    lab.skip(2, *LAST[1:])
    text = contract("InferenceEvent").text
    lab.send("inferences", [Record(by_number(1, body(said(f"new {n}"), text))) for n in range(17)])
    lab.send("inferences", [Record(by_number(1, b"\x02")) for _ in range(3)])
    for _ in range(2):
        with pytest.raises(DataRefused) as refused:
            lab.run()
        assert refused.value.exit_code == 3
        assert "15.0%" in refused.value.what
        assert "10.0% (defects.max_share)" in refused.value.what
        assert f"3 {defects.MALFORMED}, as {lab.topic('inferences')}/0" in refused.value.what
        assert "--accept-defects" in refused.value.remedy
        assert outcomes(lab, 2) == set()
    done = lab.replay(accepted=Accepted(defects=True))
    assert done.finished is not None
    assert (done.finished.batch, done.taken) == (2, None)
    accepted = [row for row in lab.rows("runs") if row["accepted"]]
    assert {row["batch_id"] for row in accepted} == {2}
    assert {name for row in accepted for name in row["accepted"]} == {"defects"}
    assert lab.run() is None


def test_without_a_registry_events_are_published_all_the_same(first: Lab) -> None:
    receipts = {row["record"] for row in first.rows("receipts")}
    assert receipts == {"DatasetPublished", "RetrainingTrigger"}
    assert {row["dataset"] for row in first.rows("datasets")} == {DATASET}
