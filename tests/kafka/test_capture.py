"""Every offset of a range is landed or explained, whatever the topic has been through."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from processor.config import KafkaConfig
from processor.errors import LossDetected
from processor.kafka.offsets import Broker
from processor.local.stack import Stack
from processor.stages.base import Accepted
from processor.stages.pipeline import PLAN
from processor.tables import BATCHES, LOG, PROOFS
from tests.kafka.capture import (
    Between,
    Made,
    consumed,
    lagging_at_first,
    planned,
    taken,
    unknown,
    until,
)
from tests.kafka.test_offsets import created, deleted, send, transactions

LIMIT = 60.0  # seconds
FIRST = "offsets"


def stable(kafka: KafkaConfig, topic: str) -> None:
    """Waits until the broker has finished every transaction: its markers come a moment later."""

    def done() -> bool:
        return all(b.end == b.high_watermark for b in Broker(kafka).bounds([topic]).values())

    until(done, "the transactions have ended")


def made_anew(kafka: KafkaConfig, topic: str) -> None:
    """Deletes the topic, and makes another of its name."""
    deleted(kafka, topic)
    until(lambda: not Broker(kafka).bounds([topic]), "the topic is gone")
    created(kafka, topic)


def test_transactions_are_told_apart_also_where_ranges_end_on_their_markers(
    made: Made, kafka: KafkaConfig, stack: Stack
) -> None:
    capture = made()
    topic = capture.topics[0]
    with transactions(kafka) as sender:
        sender.begin_transaction()
        send(sender, topic, 3)
        sender.commit_transaction(LIMIT)  # 0 to 2, marker 3
        stable(kafka, topic)
        assert taken(capture) == 1
        sender.begin_transaction()
        send(sender, topic, 2)
        sender.abort_transaction(LIMIT)  # 4 and 5, marker 6
        stable(kafka, topic)
        assert taken(capture) == 2
        sender.begin_transaction()
        send(sender, topic, 1)
        sender.abort_transaction(LIMIT)  # 7, marker 8
        sender.begin_transaction()
        send(sender, topic, 4)
        sender.commit_transaction(LIMIT)  # 9 to 12, marker 13
        stable(kafka, topic)
        sender.begin_transaction()
        send(sender, topic, 2)  # 14 and 15: open, so in no batch yet
        assert taken(capture) == 3
        assert capture.planned() is None
        assert capture.proof(1) == {"landed": 3, "control": 1}
        assert capture.proof(2) == {"aborted": 2, "control": 1}
        assert capture.proof(3) == {"landed": 4, "aborted": 1, "control": 2}
        sender.commit_transaction(LIMIT)
    stable(kafka, topic)
    warehouse = capture.warehouse
    assert warehouse.committed(BATCHES, PLAN) == 3
    assert capture.log() == consumed(stack, topic)[:7]
    assert not capture.verified(kafka=True).findings


def test_a_divided_cut_may_end_before_a_marker_and_within_an_aborted_transaction(
    made: Made, kafka: KafkaConfig, stack: Stack
) -> None:
    capture = made(flags=("batch.max_rows=3",))
    topic = capture.topics[0]
    with transactions(kafka) as sender:
        sender.begin_transaction()
        send(sender, topic, 3)
        sender.commit_transaction(LIMIT)  # 0 to 2, marker 3
        sender.begin_transaction()
        send(sender, topic, 4)
        sender.abort_transaction(LIMIT)  # 4 to 7, marker 8
        sender.begin_transaction()
        send(sender, topic, 2)
        sender.commit_transaction(LIMIT)  # 9 and 10, marker 11
    stable(kafka, topic)
    parts = [
        {"landed": 3},  # [0, 3)
        {"control": 1, "aborted": 2},  # [3, 6)
        {"aborted": 2, "control": 1},  # [6, 9)
        {"landed": 2, "control": 1},  # [9, 12)
    ]
    for number, part in enumerate(parts, 1):
        assert taken(capture) == number
        assert capture.proof(number) == part
    assert capture.planned() is None
    assert capture.log() == consumed(stack, topic)
    assert not capture.verified(kafka=True).findings


def test_on_a_compacted_topic_markers_count_as_compacted(made: Made, kafka: KafkaConfig) -> None:
    capture = made(config={"cleanup.policy": "compact"})  # nothing is compacted yet
    topic = capture.topics[0]
    with transactions(kafka) as sender:
        for end in (sender.commit_transaction, sender.abort_transaction):
            sender.begin_transaction()
            for number in range(3):
                sender.produce(topic, key=str(number).encode(), value=b"v")
            assert sender.flush(LIMIT) == 0
            end(LIMIT)
    stable(kafka, topic)
    assert taken(capture) == 1
    assert capture.proof(1) == {"landed": 3, "aborted": 3, "compacted": 2}


def test_what_compaction_took_is_compacted_and_not_lost(
    made: Made, kafka: KafkaConfig, producer: Producer
) -> None:
    config = {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.01",
        "segment.ms": "100",
        "max.compaction.lag.ms": "100",
    }
    capture = made(config=config)
    topic = capture.topics[0]

    def said(number: int) -> None:
        producer.produce(topic, key=b"same", value=str(number).encode())
        assert producer.flush(LIMIT) == 0

    for number in range(5):
        said(number)

    def compacted() -> bool:
        said(9)  # a new segment begins with a record; the last one is never compacted
        held = consumed(capture.stack, topic)
        return len(held) < held[-1][2] + 1

    until(compacted, "the topic is compacted")
    assert taken(capture) == 1
    proof = capture.proof(1)
    assert proof.keys() == {"landed", "compacted"}
    assert proof["landed"] == len(capture.log())


def test_empty_ranges_first_between_and_last(made: Made, producer: Producer, stack: Stack) -> None:
    capture = made(partitions=3)
    topic = capture.topics[0]
    send(producer, topic, 3, partition=1)
    assert taken(capture) == 1
    send(producer, topic, 2, partition=0)
    send(producer, topic, 2, partition=2)
    assert taken(capture) == 2
    assert capture.planned() is None
    assert [capture.proof(1, partition) for partition in range(3)] == [{}, {"landed": 3}, {}]
    assert [capture.proof(2, p) for p in range(3)] == [{"landed": 2}, {}, {"landed": 2}]
    for partition in range(3):
        mine = [row for row in capture.log() if row[1] == partition]
        assert mine == consumed(stack, topic, partition)


@pytest.mark.parametrize("records", [2, 5, 9], ids=["fewer", "as many", "more"])
def test_a_topic_made_anew_is_found_before_anything_is_committed(
    made: Made, kafka: KafkaConfig, producer: Producer, records: int
) -> None:
    capture = made()
    topic = capture.topics[0]
    send(producer, topic, 5)
    assert taken(capture) == 1
    before = capture.log()
    deleted(kafka, topic)
    until(lambda: not Broker(kafka).bounds([topic]), "the topic is gone")
    with pytest.raises(LossDetected, match="is gone"):
        capture.planned()
    created(kafka, topic)
    send(producer, topic, records)
    with pytest.raises(LossDetected, match="made anew") as said:
        capture.planned()
    assert "--accept-new-topic" in said.value.remedy
    assert (capture.log(), capture.warehouse.committed(BATCHES, PLAN)) == (before, 1)
    batch = capture.planned(accept_new_topic=True)
    assert batch is not None
    (epoch,) = (each for each in batch.ranges if each.topic == topic)
    assert (epoch.start, epoch.end, epoch.first_seen) == (0, records, True)
    capture.land(batch)
    assert capture.log(1) == before
    assert [row[2] for row in capture.log(2)] == list(range(records))
    send(producer, topic, 1)
    assert taken(capture) == 3  # what was accepted once is not asked again
    assert not capture.verified(kafka=True).findings


def test_a_topic_made_anew_after_the_plan_is_lost_whole(
    made: Made, kafka: KafkaConfig, producer: Producer
) -> None:
    capture = made()
    topic = capture.topics[0]
    send(producer, topic, 5)
    batch = capture.planned()
    assert batch is not None
    made_anew(kafka, topic)
    send(producer, topic, 7)
    with pytest.raises(LossDetected, match=rf"{topic}/0 \[0, 5\)"):
        capture.land(batch)
    assert (capture.log(), capture.losses()) == ([], [(1, 0, 5)])
    assert capture.proof(1) == {"lost": 5}


def test_a_topic_made_anew_while_it_is_read_stops_the_batch_before_it_is_proven(
    made: Made, kafka: KafkaConfig, producer: Producer
) -> None:
    capture = made()
    topic = capture.topics[0]
    send(producer, topic, 5)
    batch = capture.planned()
    assert batch is not None

    def meanwhile() -> None:
        made_anew(kafka, topic)
        send(producer, topic, 5)

    reading = Between(str(capture.home), meanwhile, computed=True)
    for _ in range(2):
        with pytest.raises(LossDetected, match="made anew while it was read"):
            capture.land(batch, warehouse=reading)
        assert capture.rows(PROOFS) == []
    capture.land(batch, Accepted(new_topic=True))
    assert capture.proof(1) == {"landed": 5}


def test_retention_that_overtook_the_plan_is_stored_and_stops_until_accepted(
    made: Made, producer: Producer, stack: Stack
) -> None:
    capture = made(partitions=2)
    topic = capture.topics[0]
    send(producer, topic, 4)
    assert taken(capture) == 1
    send(producer, topic, 6)
    send(producer, topic, 3, partition=1)
    capture.delete_before(7)
    batch = capture.planned()
    assert batch is not None
    for _ in range(2):
        with pytest.raises(LossDetected, match=rf"{topic}/0 \[4, 7\)") as said:
            capture.land(batch)
        assert "--accept-loss" in said.value.remedy
    assert capture.losses() == [(2, 4, 7)]
    assert (capture.proof(2, 0), capture.proof(2, 1)) == ({"landed": 3, "lost": 3}, {"landed": 3})
    capture.land(batch, Accepted(loss=True))
    assert capture.log(2) == [*consumed(stack, topic, 0, 7), *consumed(stack, topic, 1)]
    assert not capture.verified(kafka=True).findings


def test_retention_between_plan_and_read(made: Made, producer: Producer) -> None:
    capture = made()
    batch = planned(capture, producer, 6)
    capture.delete_before(2)
    with pytest.raises(LossDetected, match=r"\[0, 2\)"):
        capture.land(batch)
    assert capture.proof(1) == {"landed": 4, "lost": 2}


def test_a_topic_that_the_broker_does_not_know_for_a_moment_is_not_lost(
    made: Made, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = made()
    batch = planned(capture, producer, 6)
    lagging_at_first(monkeypatch, unknown)
    capture.land(batch)
    assert (capture.losses(), capture.proof(1)) == ([], {"landed": 6})


def test_stopped_between_the_loss_and_the_log_it_is_stored_once(
    made: Made, producer: Producer
) -> None:
    capture = made()
    batch = planned(capture, producer, 6)
    capture.delete_before(2)

    def stop() -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            capture.land(batch, warehouse=Between(str(capture.home), stop, computed=True))
        assert (capture.losses(), capture.log(), capture.rows(PROOFS)) == ([(1, 0, 2)], [], [])
    capture.land(batch, Accepted(loss=True))
    assert (capture.losses(), capture.proof(1)) == ([(1, 0, 2)], {"landed": 4, "lost": 2})
    assert not capture.verified(kafka=True).findings


def test_retention_while_reading_is_asked_again_and_named_to_the_offset(
    made: Made, producer: Producer
) -> None:
    capture = made()
    batch = planned(capture, producer, 6)
    reading = Between(str(capture.home), lambda: capture.delete_before(5), computed=False)
    with pytest.raises(LossDetected, match=r"\[0, 5\)"):
        capture.land(batch, warehouse=reading)
    assert (capture.losses(), capture.proof(1)) == ([(1, 0, 5)], {"landed": 1, "lost": 5})
    assert [row[2] for row in capture.log()] == [5]
    assert any("asking again" in line for line in capture.said)


def test_retention_between_read_and_commit_loses_nothing(made: Made, producer: Producer) -> None:
    capture = made()
    batch = planned(capture, producer, 6)
    late = Between(str(capture.home), lambda: capture.delete_before(5), computed=True)
    capture.land(batch, warehouse=late)
    assert (capture.losses(), capture.proof(1)) == ([], {"landed": 6})
    assert not capture.verified(kafka=True).findings


def test_a_plan_replayed_elsewhere_gives_the_same_digests_though_the_topic_has_grown(
    made: Made, producer: Producer, tmp_path: Path
) -> None:
    capture = made(partitions=2)
    for count in (5, 3):
        send(producer, capture.topics[0], count)
        send(producer, capture.topics[0], count, partition=1)
        taken(capture)
    send(producer, capture.topics[0], 20)
    other = capture.elsewhere(tmp_path / "other")
    for number in (1, 2):
        plan = capture.warehouse.rows(BATCHES, where=[("batch_id", "=", number)])
        other.warehouse.append_once(BATCHES, plan, PLAN, number)
        assert taken(other) == number
    assert {row[3] for row in other.digests() if row[1] == capture.topics[0]} == {5, 3}
    assert other.digests() == capture.digests()
    assert other.log() == capture.log()


def test_a_committed_record_that_the_log_lacks_is_not_taken_for_an_aborted_one(
    made: Made, producer: Producer
) -> None:
    capture = made()
    batch = planned(capture, producer, 5)
    other = capture.elsewhere(capture.home.with_name("other"))
    other.land(batch)
    kept = other.warehouse.rows(LOG, where=[("offset", "!=", 3)])
    capture.warehouse.append_once(LOG, kept, "snapshot/log", 1)
    with pytest.raises(LossDetected, match="1 of 5 unexplained"):
        capture.land(batch)
    assert capture.rows(PROOFS) == []
