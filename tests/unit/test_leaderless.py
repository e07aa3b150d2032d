"""A partition that has no leader for a moment is asked again; any other error is said at once."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from processor.batches import Partition
from processor.config import KafkaConfig
from processor.errors import Unavailable
from processor.kafka.offsets import Broker

ONE = Partition("inferences", 0)
WHEN = datetime(2016, 1, 1, tzinfo=UTC)


class Admin:
    """A cluster that answers with these, one after the other: an error's code, or an offset."""

    def __init__(self, *answers: int | KafkaError) -> None:
        self.answers = list(answers)

    def list_offsets(self, wanted: Iterable[Any], **_: Any) -> dict[Any, Future[Any]]:  # noqa: ANN401  # as the client's
        future: Future[Any] = Future()
        answer = self.answers.pop(0)
        if isinstance(answer, KafkaError):
            future.set_exception(KafkaException(answer))
        else:
            future.set_result(SimpleNamespace(offset=answer))
        return dict.fromkeys(wanted, future)


def broker(admin: Admin, timeout: timedelta = timedelta(seconds=10)) -> Broker:
    asked = Broker(KafkaConfig(bootstrap_servers="127.0.0.1:1", timeout=timeout))
    asked._admin = admin  # type: ignore[assignment]  # noqa: SLF001  # no broker loses its leader when asked to
    return asked


@pytest.mark.parametrize(
    "code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART]
)
def test_a_partition_without_a_leader_is_asked_again(code: int) -> None:
    admin = Admin(KafkaError(code), KafkaError(code), 7)
    assert broker(admin).at([ONE], WHEN) == {ONE: 7}
    assert admin.answers == []


def test_another_error_is_said_at_once() -> None:
    admin = Admin(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), 7)
    with pytest.raises(Unavailable):
        broker(admin).at([ONE], WHEN)
    assert admin.answers == [7]


def test_patience_ends_with_the_timeout() -> None:
    admin = Admin(*[KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)] * 50)
    with pytest.raises(Unavailable, match="Not leader"):
        broker(admin, timeout=timedelta(milliseconds=200)).at([ONE], WHEN)
    assert admin.answers
