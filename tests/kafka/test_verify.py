"""What `verify` finds in a warehouse, and what it does not judge."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from confluent_kafka import Producer

from processor.errors import LossDetected
from processor.stages import snapshot, validate
from processor.stages.base import Request
from processor.stages.pipeline import PLAN, STAGES, Planned, next_batch, plan
from processor.tables import BATCHES, LOG, PROOFS, TYPED
from tests.kafka.capture import Capture, Made, planned, taken
from tests.kafka.test_offsets import LIMIT, send


def rewritten(capture: Capture, name: str, instead: Mapping[str, pa.Table | None]) -> Capture:
    """The warehouse as somebody left it who wrote other rows of some tables; None: not at all."""
    other = capture.elsewhere(capture.home.with_name(name))
    last = capture.warehouse.committed(BATCHES, PLAN)
    other.warehouse.append_once(BATCHES, capture.warehouse.rows(BATCHES), PLAN, last)
    for stage in (snapshot.STAGE, validate.STAGE):
        for table in stage.writes:
            rows = instead.get(table.name, capture.warehouse.rows(table))
            if rows is not None:
                other.warehouse.append_once(table, rows, stage.writer(table), last)
    return other


def test_verify_finds_what_was_changed_dropped_or_doubled(made: Made, producer: Producer) -> None:
    capture = made()
    send(producer, capture.topics[0], 6)
    taken(capture)
    assert capture.verified(kafka=True).compared == 6
    whole = capture.warehouse.rows(LOG)
    values = whole["value"].to_pylist()
    changed = whole.set_column(
        whole.column_names.index("value"), whole.schema.field("value"), [[b"x", *values[1:]]]
    )
    for number, (rows, what) in enumerate(
        (
            (whole.slice(1), "the log has 5 rows, the proof says 6"),
            (changed, "the log's digest is"),
            (whole.take([0, 0, 1, 2, 3, 4]), "1 offsets are in the log more than once"),
        )
    ):
        other = capture.elsewhere(capture.home.with_name(f"tampered{number}"))
        for table, writer, kept in (
            (BATCHES, PLAN, capture.warehouse.rows(BATCHES)),
            (PROOFS, "snapshot/proofs", capture.warehouse.rows(PROOFS)),
            (LOG, "snapshot/log", rows),
        ):
            other.warehouse.append_once(table, kept, writer, 1)
        found = [finding.what for finding in other.verified().findings]
        assert any(said.startswith(what) for said in found), found
        against = [f.what for f in other.verified(kafka=True).findings if f.batch is None]
        assert len(against) == 1


def test_verify_finds_what_is_gone_without_a_trace(made: Made, producer: Producer) -> None:
    capture = made()
    for count in (6, 4):
        send(producer, capture.topics[0], count)
        taken(capture)
    assert not capture.verified().findings
    log, proofs, typed = map(capture.warehouse.rows, (LOG, PROOFS, TYPED["inferences"]))
    others = pc.or_(pc.equal(proofs["batch_id"], 1), pc.equal(proofs["topic"], capture.topics[1]))
    first = {
        "log": log.filter(pc.equal(log["batch_id"], 1)),
        "proofs": proofs.filter(others),
        "inferences": typed.filter(pc.equal(typed["batch_id"], 1)),
    }
    doubled = pa.concat_tables([typed, typed.filter(pc.equal(typed["batch_id"], 2)).slice(3)])
    for name, instead, what in (
        ("undecoded", {"inferences": first["inferences"]}, "0 typed rows stand for 4 rows"),
        ("doubled", {"inferences": doubled}, "5 typed rows stand for 4 rows"),
        ("unproven", first, "its proof is gone"),
    ):
        (finding,) = rewritten(capture, name, instead).verified().findings
        assert finding[:3] == (2, capture.topics[0], 0)
        assert finding.what.startswith(what)


def test_verify_does_not_judge_what_is_not_proven_or_decoded_yet(
    made: Made, producer: Producer
) -> None:
    capture = made()
    batch = planned(capture, producer, 3)
    assert not capture.verified().findings
    capture.land(batch)
    assert not rewritten(capture, "killed", {"inferences": None}).verified().findings
    assert not rewritten(capture, "sooner", dict.fromkeys((*TYPED, "proofs"))).verified().findings


def cut_short(capture: Capture, *names: str) -> list[str]:
    """What is found where tables have lost their newest commits, as a backup may have."""
    name = "-".join(names)
    shutil.copytree(capture.home, capture.home.with_name(name))
    other = capture.elsewhere(capture.home.with_name(name))
    for each in names:
        max((other.home / each / "_delta_log").glob("*.json")).unlink()
    return [finding.what for finding in other.verified().findings if finding.batch == 2]


def test_a_batch_is_judged_by_what_later_stages_made_of_it(made: Made, producer: Producer) -> None:
    capture = made()
    for count in (6, 4):
        send(producer, capture.topics[0], count)
        taken(capture)
    for names, whats in (
        (("log",), ("the log has 0 rows, the proof says 4",)),
        (("proofs",), ("its proof is gone",)),
        (("inferences",), ("0 typed rows stand for 4 rows of the log",)),
        (("ground_truth",), ("the table ground_truth has no commit of validate for it",)),
        (("outcomes",), ("the table outcomes has no commit of compile for it",)),
        (("log", "proofs", *TYPED), ("its proof is gone", "the table log has no commit of snap")),
        (("log", *TYPED), ("the log has 0 rows, the proof says 4", "the table log has no commit")),
    ):
        found = cut_short(capture, *names)
        assert all(any(said.startswith(what) for said in found) for what in whats), found
    assert cut_short(capture, "runs") == []  # the last stage: as if it were still to come


def test_a_batch_that_was_killed_anywhere_is_no_finding(made: Made, producer: Producer) -> None:
    capture = made()
    send(producer, capture.topics[0], 6)
    taken(capture)
    capture.land(planned(capture, producer, 4))
    for stage, table in reversed([(each, table) for each in STAGES for table in each.writes]):
        max((capture.home / table.name / "_delta_log").glob("*.json")).unlink()
        if table in (stage.writes[0], stage.writes[-1]):
            assert not capture.verified().findings, (stage.name, table.name)
    assert capture.warehouse.committed(LOG, "snapshot/log") == 1


def moved_offsets(typed: pa.Table, by: int) -> pa.Table:
    """Two rows of which one says that it came from later, and one from as much earlier."""
    rows = typed.to_pylist()
    for row, sign in zip(rows, (1, -1), strict=False):
        row["origin"]["offset"] += sign * by
    return pa.Table.from_pylist(rows, schema=typed.schema)


def test_verify_finds_typed_rows_that_come_from_elsewhere(made: Made, producer: Producer) -> None:
    capture = made()
    send(producer, capture.topics[0], 6)
    taken(capture)
    typed = capture.warehouse.rows(TYPED["inferences"])
    known = pc.add(typed["batch_id"], 1)
    hidden = typed.set_column(0, typed.schema.field(0), known)
    for name, rows, what in (
        ("moved", moved_offsets(typed, 1000), "6 typed rows stand for as many other offsets"),
        ("hidden", hidden, "0 typed rows stand for 6 rows"),
    ):
        (finding,) = rewritten(capture, name, {"inferences": rows}).verified().findings
        assert finding[:3] == (1, capture.topics[0], 0)
        assert finding.what.startswith(what)


def changed_marks(proofs: pa.Table, batch: int, by: timedelta) -> pa.Table:
    """The watermark of a batch, moved."""
    at = proofs.column_names.index("watermark")
    moved = pc.add(proofs["watermark"], pa.scalar(by))
    marks = pc.if_else(pc.equal(proofs["batch_id"], batch), moved, proofs["watermark"])
    return proofs.set_column(at, proofs.schema.field(at), marks)


def test_verify_finds_proofs_that_are_there_twice_or_were_changed(
    made: Made, producer: Producer
) -> None:
    capture = made()
    for count in (6, 4):
        send(producer, capture.topics[0], count)
        taken(capture)
    proofs = capture.warehouse.rows(PROOFS)
    doubled = rewritten(capture, "doubled", {"proofs": pa.concat_tables([proofs, proofs])})
    assert {finding.what for finding in doubled.verified().findings} == {"it has 2 proofs"}
    for hours in (10, -10):
        moved = changed_marks(proofs, 1, timedelta(hours=hours))
        found = rewritten(capture, f"moved{hours}", {"proofs": moved}).verified().findings
        assert found[0][:3] == (1, None, None)
        assert found[0].what.startswith("its watermark is ")
        assert {finding.batch for finding in found} == {1}


def said_at(producer: Producer, topic: str, seconds: int) -> None:
    """A record whose clock is so many seconds after ours."""
    at = int((time.time() + seconds) * 1000)
    producer.produce(topic, value=b"x", partition=0, timestamp=at)
    assert producer.flush(LIMIT) == 0


def test_watermarks_are_those_of_records_that_are_not_from_the_future(
    made: Made, producer: Producer
) -> None:
    capture = made()
    hour = 3600
    for ahead in (-hour, hour):
        said_at(producer, capture.topics[0], ahead)
        taken(capture)
    trusting = replace(capture, flags=("batch.watermark_tolerance=2h",))
    assert not capture.verified().findings
    assert not trusting.verified().findings
    proofs = capture.warehouse.rows(PROOFS)
    counted = changed_marks(proofs, 2, timedelta(hours=1))
    (finding,) = rewritten(capture, "counted", {"proofs": counted}).verified().findings
    assert finding.batch == 2
    assert not rewritten(trusting, "doubtful", {"proofs": counted}).verified().findings
    send(producer, capture.topics[0], 1)
    trusting.land(planned(trusting, producer, 1))
    assert not capture.verified().findings
    assert not trusting.verified().findings


def test_watermarks_of_parts_and_of_cuts_at_a_moment_are_theirs(
    made: Made, producer: Producer
) -> None:
    capture = made(flags=("batch.max_rows=2",))
    for ago in range(5):  # the newest is in the first part, and moves time with the last
        said_at(producer, capture.topics[0], -ago * 60)
    assert [taken(capture) for _ in range(3)] == [1, 2, 3]
    send(producer, capture.topics[0], 1)
    moment = datetime.now(UTC)
    found = next_batch(capture.config, capture.warehouse, "run", Request(moment))
    assert isinstance(found, Planned)
    plan(capture.warehouse, found.batch)
    capture.land(found.batch)
    marks = [row["watermark"] for row in capture.rows(PROOFS) if row["topic"] == capture.topics[0]]
    assert marks[:2] == [None, None]
    assert marks[3] == moment
    assert not capture.verified().findings


def test_a_file_that_spark_cannot_read_is_named(made: Made, producer: Producer) -> None:
    capture = made()
    send(producer, capture.topics[0], 6)
    taken(capture)
    for table in (LOG, TYPED["inferences"]):
        other = capture.elsewhere(capture.home.with_name(f"garbage-{table.name}"))
        shutil.copytree(capture.home, other.home)
        file = next((other.home / table.name).glob("0*/**/*.parquet"))
        file.write_bytes(b"x" * file.stat().st_size)
        for checksum in file.parent.glob(f".{file.name}.crc"):
            checksum.unlink()
        with pytest.raises(LossDetected) as raised:
            other.verified()
        assert file.name in raised.value.what
        assert f"/{table.name}/" in raised.value.what
        assert raised.value.remedy.startswith("restore it")


def test_verify_finds_a_gap_between_batches(made: Made, producer: Producer) -> None:
    capture = made()
    batch = planned(capture, producer, 3)
    capture.land(batch)
    rows = capture.warehouse.rows(BATCHES).to_pylist()
    (own, empty) = sorted(rows, key=lambda row: row["topic"] != capture.topics[0])
    skipping = {**own, "batch_id": 2, "start_offset": 4, "end_offset": 4}
    capture.warehouse.append_once(BATCHES, [skipping, {**empty, "batch_id": 2}], PLAN, 2)
    (finding,) = capture.verified().findings
    assert finding.what == "it begins at 4, the batch before ended at 3"
