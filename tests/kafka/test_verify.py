"""What `verify` finds in a warehouse, and what it does not judge."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import Producer

from processor.stages import snapshot, validate
from processor.stages.pipeline import PLAN
from processor.tables import BATCHES, LOG, PROOFS, TYPED
from tests.kafka.capture import Capture, Made, planned, taken
from tests.kafka.test_offsets import send


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
    assert (
        not rewritten(capture, "sooner", {"inferences": None, "proofs": None}).verified().findings
    )


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
