"""Cuts on a real broker: moments, open transactions, new partitions, and what retention leaves."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from processor.batches import Partition, Range
from processor.config import Config, ScheduleConfig, load
from processor.errors import ConfigError, LossDetected
from processor.kafka.offsets import Broker
from processor.kafka.oldest import first_times
from processor.local.stack import Stack
from processor.resources import resource
from processor.schedule import due
from processor.stages.base import Request
from processor.stages.cut import Cut, Nothing, Past, next_cut
from processor.stages.unread import unread
from processor.warehouse import Warehouse
from tests.kafka import capture

LIMIT = 30.0  # seconds
NO_PATIENCE, PATIENCE = timedelta(0), timedelta(seconds=LIMIT)
NOTHING_READ = Past({}, (), None, None)
T0 = datetime(2024, 5, 1, tzinfo=UTC)
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Inputs:
    """Two topics of a test's own, and a configuration that reads no others."""

    stack: Stack
    mark: str
    home: Path

    @property
    def topic(self) -> str:
        return f"cuts.{self.mark}.inferences"

    @property
    def config(self) -> Config:
        flags = (
            f"warehouse={self.home}",
            f"kafka.bootstrap_servers={self.stack.bootstrap_servers}",
            f"loops={resource('conf', 'loops')}",
            *(f"topics.{name}=cuts.{self.mark}.{name}" for name in self._names()),
        )
        return load(None, flags, {})

    def _names(self) -> list[str]:
        topics = load(None, [f"loops={resource('conf', 'loops')}"], {}).topics
        return list(topics.by_topic().values())

    @property
    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.stack.bootstrap_servers})

    @property
    def hasty(self) -> Config:
        """Who asks again for a second only."""
        kafka = self.config.kafka.model_copy(update={"timeout": timedelta(seconds=1)})
        return self.config.model_copy(update={"kafka": kafka})

    def create(self, partitions: int = 1, **settings: str) -> str:
        dotted = {name.replace("_", "."): value for name, value in settings.items()}
        kept = {"retention.ms": "-1", **dotted}  # what is said here is years old
        new = NewTopic(self.topic, partitions, replication_factor=1, config=kept)
        admin = self.admin  # its answers die with it
        admin.create_topics([new])[self.topic].result(LIMIT)
        return self.topic

    def send(self, *stamps: datetime | None, partition: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.stack.bootstrap_servers})
        for stamp in stamps:
            milliseconds = 0 if stamp is None else int(stamp.timestamp() * 1000)
            producer.produce(self.topic, b"v", partition=partition, timestamp=milliseconds)
        assert producer.flush(LIMIT) == 0

    def cut(
        self,
        until: datetime | None = None,
        past: Past = NOTHING_READ,
        patience: timedelta = NO_PATIENCE,
    ) -> Cut:
        found = next_cut(self.config, past, Request(until=until), patience)
        assert isinstance(found, Cut)
        return found


@pytest.fixture
def inputs(stack: Stack, tmp_path: Path) -> Inputs:
    return Inputs(stack, uuid.uuid4().hex[:8], tmp_path / "warehouse")


def ends(cut: Cut) -> list[tuple[int, int, int]]:
    return [(each.partition, each.start, each.end) for each in cut.ranges]


def after(cut: Cut, ended: datetime | None = None) -> Past:
    read = {Partition(each.topic, each.partition): each for each in cut.ranges}
    return Past(read, cut.ranges, cut.time, ended or cut.time)


def consumed(inputs: Inputs, count: int) -> list[datetime]:
    """The timestamps of a partition, as a plain consumer gets them."""
    consumer = Consumer(
        {"bootstrap.servers": inputs.stack.bootstrap_servers, "group.id": uuid.uuid4().hex}
    )
    consumer.assign([TopicPartition(inputs.topic, 0, 0)])
    messages = consumer.consume(count, LIMIT)
    consumer.close()
    assert len(messages) == count
    return [datetime.fromtimestamp(m.timestamp()[1] / 1000, UTC) for m in messages]


def test_by_producers_clocks_a_cut_ends_at_the_first_offset_of_its_moment(inputs: Inputs) -> None:
    inputs.create(2)
    inputs.send(*(T0 + timedelta(minutes=n) for n in (0, 10, 30, 20, 40)))
    inputs.send(T0, partition=1)
    moment = T0 + timedelta(minutes=20)
    first = inputs.cut(moment)
    assert (ends(first), first.time, first.held_back) == ([(0, 0, 2), (1, 0, 1)], moment, {})
    assert not Broker(inputs.config.kafka).settings([inputs.topic])[inputs.topic].by_arrival
    assert ends(inputs.cut(moment + timedelta(milliseconds=1), after(first))) == [
        *[(0, 2, 2), (1, 1, 1)]
    ]
    assert ends(inputs.cut(T0 + timedelta(minutes=31), after(first))) == [(0, 2, 4), (1, 1, 1)]
    assert ends(inputs.cut(T0 + timedelta(days=1), after(first))) == [(0, 2, 5), (1, 1, 1)]
    early = inputs.cut(moment - timedelta(microseconds=1))
    assert ends(early) == ends(first)


def test_by_the_brokers_clock_a_cut_is_exact(inputs: Inputs) -> None:
    inputs.create(message_timestamp_type="LogAppendTime")
    for _ in range(4):
        inputs.send(T0)  # what a producer says is not asked
    stamps = consumed(inputs, 4)
    broker = Broker(inputs.config.kafka)
    assert broker.settings([inputs.topic])[inputs.topic].by_arrival
    for moment in {*stamps, stamps[-1] + timedelta(milliseconds=1), T0}:
        assert ends(inputs.cut(moment)) == [(0, 0, sum(each < moment for each in stamps))]


def test_a_moment_that_is_taken_is_nothing_to_do_and_asks_nobody(inputs: Inputs) -> None:
    absent = load(
        None, [f"loops={resource('conf', 'loops')}", "kafka.bootstrap_servers=127.0.0.1:1"], {}
    )
    past = Past({}, (), None, T0)
    for moment in (T0, T0 - timedelta(days=1)):
        assert next_cut(absent, past, Request(until=moment), NO_PATIENCE) == Nothing()
    inputs.create()
    assert next_cut(inputs.config, NOTHING_READ, Request(), NO_PATIENCE) == Nothing()
    assert ends(inputs.cut(T0)) == [(0, 0, 0)]


def test_an_open_transaction_holds_a_cut_back_until_it_ends(inputs: Inputs) -> None:
    inputs.create()
    inputs.send(T0)
    producer = Producer(
        {
            "bootstrap.servers": inputs.stack.bootstrap_servers,
            "transactional.id": uuid.uuid4().hex,
        }
    )
    producer.init_transactions(LIMIT)
    producer.begin_transaction()
    for minutes in (1, 2, 30):
        stamp = int((T0 + timedelta(minutes=minutes)).timestamp() * 1000)
        producer.produce(inputs.topic, b"v", partition=0, timestamp=stamp)
    assert producer.flush(LIMIT) == 0
    one, moment = Partition(inputs.topic, 0), T0 + timedelta(minutes=20)
    held, all_held = inputs.cut(moment), inputs.cut()
    assert (ends(held), held.held_back) == ([(0, 0, 1)], {one: 2})
    assert (ends(all_held), all_held.held_back) == ([(0, 0, 1)], {one: 3})
    before = inputs.cut(T0 + timedelta(minutes=1))
    assert (ends(before), before.held_back) == ([(0, 0, 1)], {})
    nothing_else = next_cut(inputs.config, after(all_held, T0), Request(), NO_PATIENCE)
    assert nothing_else == Nothing({one: 3})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(inputs.cut, moment, NOTHING_READ, PATIENCE)
        producer.commit_transaction(LIMIT)
        waited = waiting.result(LIMIT)
    assert (ends(waited), waited.held_back) == ([(0, 0, 3)], {})
    rest = inputs.cut(None, after(held, moment), PATIENCE)
    assert ends(rest) == [(0, 1, 5)]  # the last is the mark of the commit


def test_a_partition_that_came_since_is_read_from_its_beginning(inputs: Inputs) -> None:
    inputs.create()
    inputs.send(T0)
    first = inputs.cut()
    assert [each.first_seen for each in first.ranges] == [True]
    admin = inputs.admin
    admin.create_partitions([NewPartitions(inputs.topic, 2)])[inputs.topic].result(LIMIT)
    sent = False
    while not sent:
        with suppress(KafkaException):  # until the producer has heard of it
            inputs.send(T0, T0, partition=1)
            sent = True
    then = inputs.cut(None, after(first, T0))
    assert ends(then) == [(0, 1, 1), (1, 0, 2)]
    assert [each.first_seen for each in then.ranges] == [False, True]


def test_an_end_that_stays_behind_what_was_read_is_loss(inputs: Inputs) -> None:
    inputs.create()
    inputs.send(T0)
    (each,) = inputs.cut().ranges
    beyond = Range(each.topic, each.topic_id, 0, 0, 2, 0, 2)
    past = Past({Partition(each.topic, 0): beyond}, (beyond,), None, T0)
    with pytest.raises(LossDetected, match="ends at 1, before offset 2"):
        next_cut(inputs.hasty, past, Request(), NO_PATIENCE)


def behind(held: capture.Held) -> capture.Held:
    """What a leader may say that was just elected."""
    return {p: replace(now, end=1, high_watermark=1) for p, now in held.items()}


@pytest.mark.parametrize("lag", [behind, capture.unknown])
def test_what_is_behind_or_unknown_for_a_moment_is_asked_again_and_loses_nothing(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch, lag: Callable[[capture.Held], capture.Held]
) -> None:
    inputs.create()
    inputs.send(T0, T0)
    first = inputs.cut()
    inputs.send(T0, T0)
    asked = capture.lagging_at_first(monkeypatch, lag)
    assert ends(inputs.cut(past=after(first, T0))) == [(0, 2, 4)]
    assert len(asked) == 2


@pytest.mark.parametrize("until", [None, T0], ids=["all that is new", "at a moment"])
def test_input_topics_that_are_all_gone_are_loss_once_they_were_read(
    inputs: Inputs, until: datetime | None
) -> None:
    with pytest.raises(ConfigError, match="none of the input topics exists"):
        inputs.cut(until)
    inputs.create()
    inputs.send(T0)
    past = after(inputs.cut(), T0 - timedelta(days=1))
    admin = inputs.admin
    admin.delete_topics([inputs.topic])[inputs.topic].result(LIMIT)
    broker = Broker(inputs.config.kafka)
    capture.until(lambda: not broker.bounds([inputs.topic]), "the topic is gone")
    with pytest.raises(LossDetected, match="was read to offset 1 and is gone"):
        next_cut(inputs.hasty, past, Request(until=until), NO_PATIENCE)


def test_days_on_which_clocks_change_are_cut_where_they_end(inputs: Inputs) -> None:
    """A record at every full hour of UTC, so that a batch has as many as its day has hours."""
    inputs.create()
    first = datetime(2016, 3, 25, 23, tzinfo=UTC)  # midnight of the 26th in Berlin
    inputs.send(*(first + timedelta(hours=n) for n in range(24 + 23 + 24 + 1)))
    schedule = ScheduleConfig(every="day", zone="Europe/Berlin")
    moments = due(schedule, first, datetime(2016, 3, 28, 23, tzinfo=UTC))
    assert moments == [
        datetime(2016, 3, 26, 23, tzinfo=UTC),
        datetime(2016, 3, 27, 22, tzinfo=UTC),
        datetime(2016, 3, 28, 22, tzinfo=UTC),
    ]
    past, found = NOTHING_READ, []
    for moment in moments:
        cut = inputs.cut(moment, past)
        found += ends(cut)
        past = after(cut)
    assert found == [(0, 0, 24), (0, 24, 47), (0, 47, 71)]


def test_the_hours_that_kafka_keeps_what_is_unread(inputs: Inputs) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    inputs.create(2, retention_ms=str(10 * HOUR_MS), retention_bytes="1000000")
    kafka = inputs.config.kafka
    warehouse = Warehouse(str(inputs.home))
    (empty,) = unread(inputs.config, warehouse).topics
    assert (empty.oldest_unread, empty.hours_left, empty.by_size) == (None, None, True)
    inputs.send(now - timedelta(hours=2), now)
    inputs.send(now - timedelta(hours=4), partition=1)
    found = unread(inputs.config, warehouse)
    (told,) = found.topics
    assert (told.partition, told.oldest_unread) == (1, now - timedelta(hours=4))
    assert told.hours_left == pytest.approx(6, abs=0.1)
    assert found.warnings == []
    daily = load(None, ["schedule.every=day"], {}).schedule
    (warning,) = unread(inputs.config.model_copy(update={"schedule": daily}), warehouse).warnings
    assert warning.startswith(f"{inputs.topic}/1: the oldest unread record")
    starts = {Partition(inputs.topic, 0): 1, Partition(inputs.topic, 1): 1}
    assert first_times(kafka, starts) == {Partition(inputs.topic, 0): now}


def test_where_time_deletes_nothing_there_is_no_limit(inputs: Inputs) -> None:
    inputs.create(cleanup_policy="compact", retention_ms=str(HOUR_MS))
    settings = Broker(inputs.config.kafka).settings([inputs.topic])
    assert (settings[inputs.topic].retention_ms, settings[inputs.topic].by_size) == (None, False)
