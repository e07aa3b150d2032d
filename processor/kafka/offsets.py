"""What the broker holds now: partitions, topic ids, and the offsets that bound them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from processor.batches import Bounds, Partition, Range
from processor.config import KafkaConfig
from processor.cuts import backward
from processor.errors import ConfigError, Unavailable
from processor.kafka.patience import asked
from processor.kafka.security import native
from processor.retention import TopicSettings

KeyT = TypeVar("KeyT")
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_SLACK_SECONDS = 5.0  # the client's own deadline, which says why, comes before ours
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # as the client has it
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # as the client has it
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001  # its only name
TO_THE_END = {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
"""A consumer that says where a partition ends, instead of waiting for more to come."""
_LEADERLESS = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # a topic just made, which this broker has not heard of
)
"""A partition that has no leader yet, or another one by now: it is asked again."""
_OUTSIDE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)  # noqa: SLF001  # its only name


def _quiet(_error: object) -> None:
    """Connection errors surface as timeouts of the call that needed the broker."""


def _settings(told: Mapping[str, Any]) -> TopicSettings:
    deletes = "delete" in told["cleanup.policy"].value
    kept_ms = int(told["retention.ms"].value)
    return TopicSettings(
        by_arrival=told["message.timestamp.type"].value == "LogAppendTime",
        retention_ms=kept_ms if deletes and kept_ms >= 0 else None,
        by_size=deletes and int(told["retention.bytes"].value) >= 0,
    )


class Broker:
    """Questions to one Kafka cluster; every answer is of the moment it was asked.

    Raises:
        ConfigError: the client knows no such property, or no such value of it.
    """

    def __init__(self, config: KafkaConfig) -> None:
        self.config = config
        self._seconds = config.timeout.total_seconds()
        self._properties: dict[str, Any] = {**native(config), "error_cb": _quiet, "log_level": 0}
        try:
            self._admin = AdminClient(self._properties)
        except KafkaException as error:
            raise ConfigError(
                f"the Kafka client refuses its properties: {error.args[0].str()}",
                remedy="mend kafka.properties: names and values are librdkafka's",
            ) from error

    def bounds(self, topics: Iterable[str]) -> dict[Partition, Bounds]:
        """The bounds of every partition of those `topics` that exist.

        Raises:
            Unavailable: the broker does not answer in `kafka.timeout`.
        """
        described = self._topics(topics)
        partitions = [Partition(t, p) for t, (_, count) in described.items() for p in range(count)]
        committed = IsolationLevel.READ_COMMITTED
        starts = self._offsets(partitions, _EARLIEST, committed)
        highs = self._offsets(partitions, _LATEST, IsolationLevel.READ_UNCOMMITTED)
        stable = self._offsets(partitions, _LATEST, committed)  # after: what is short is held back
        return {
            p: Bounds(described[p.topic][0], starts[p], stable[p], max(highs[p], stable[p]))
            for p in partitions
        }

    def bounds_after(
        self, topics: Iterable[str], read: Mapping[Partition, Range]
    ) -> dict[Partition, Bounds]:
        """The bounds, asked again for `kafka.timeout` while they cannot be of what was `read`.

        Raises:
            Unavailable: the broker does not answer.
        """
        wanted = frozenset(topics)
        return asked(
            lambda: self.bounds(wanted),
            lambda now: bool(backward(read, now)),
            self.config.timeout,
        )

    def at(self, partitions: Iterable[Partition], moment: datetime) -> dict[Partition, int | None]:
        """The first offset whose timestamp is `moment` or later; None where there is none.

        First by offset: of a topic with producers' timestamps, later records may be older.
        """
        spec = OffsetSpec.for_timestamp(-((EPOCH - moment) // MILLISECOND))  # rounded up
        found = self._offsets(partitions, spec, IsolationLevel.READ_UNCOMMITTED)
        return {p: offset if offset >= 0 else None for p, offset in found.items()}

    def settings(self, topics: Iterable[str]) -> dict[str, TopicSettings]:
        """What the topics' configurations say of times and of retention; all of them exist."""
        wanted = [ConfigResource(ResourceType.TOPIC, topic) for topic in sorted(topics)]
        if not wanted:
            return {}
        answers = self._ask(
            lambda: self._admin.describe_configs(wanted, request_timeout=self._seconds)
        )
        return {each.name: _settings(self._answer(found)) for each, found in answers.items()}

    def compacted(self, topic: str) -> bool:
        """Whether the topic's cleanup policy lets it drop superseded records."""
        from_broker = self._config_of(topic)
        return "compact" in from_broker["cleanup.policy"].value

    def _topics(self, names: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Topic id and number of partitions of each of the topics that exist."""
        found: dict[str, tuple[str, int]] = {}
        for name, future in self._ask(
            lambda: self._admin.describe_topics(
                TopicCollection(sorted(names)), request_timeout=self._seconds
            )
        ).items():
            try:
                described = self._outcome(future)
            except KafkaException as error:
                if error.args[0].code() in _OUTSIDE:
                    continue
                raise self._silent(error.args[0].str()) from error
            found[name] = (str(described.topic_id), len(described.partitions))
        return found

    def _offsets(
        self, partitions: Iterable[Partition], spec: OffsetSpec, isolation: IsolationLevel
    ) -> dict[Partition, int]:
        """The offset of each partition; asked again while one of them has no leader."""
        wanted = {TopicPartition(p.topic, p.partition): spec for p in partitions}
        if not wanted:
            return {}
        answers = asked(
            lambda: self._ask(
                lambda: self._admin.list_offsets(
                    wanted, isolation_level=isolation, request_timeout=self._seconds
                )
            ),
            lambda told: any(self._leaderless(future) for future in told.values()),
            self.config.timeout,
        )
        return {
            Partition(key.topic, key.partition): self._answer(future).offset
            for key, future in answers.items()
        }

    def _leaderless(self, future: Future[Any]) -> bool:
        try:
            self._outcome(future)
        except KafkaException as error:
            return error.args[0].code() in _LEADERLESS
        return False

    def _config_of(self, topic: str) -> Mapping[str, Any]:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        answers = self._ask(
            lambda: self._admin.describe_configs([resource], request_timeout=self._seconds)
        )
        found: Mapping[str, Any] = self._answer(answers[resource])
        return found

    def _ask(self, call: Callable[[], dict[KeyT, Future[Any]]]) -> dict[KeyT, Future[Any]]:
        try:
            return call()
        except KafkaException as error:
            raise self._silent(error.args[0].str()) from error

    def _answer(self, future: Future[Any]) -> Any:  # noqa: ANN401  # as the client types it
        try:
            return self._outcome(future)
        except KafkaException as error:
            raise self._silent(error.args[0].str()) from error

    def _outcome(self, future: Future[Any]) -> Any:  # noqa: ANN401  # as the client types it
        try:
            return future.result(self._seconds + _SLACK_SECONDS)
        except TimeoutError as error:
            raise self._silent("no answer came") from error

    def _silent(self, why: str) -> Unavailable:
        return Unavailable(
            f"Kafka at {self.config.bootstrap_servers} does not answer: {why}",
            remedy="start the broker (`bfp local up`) or set kafka.bootstrap_servers; try again",
        )
