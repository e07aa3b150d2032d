"""Who consumes the same topics is not disturbed by batches."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from processor.local.stack import Stack
from tests.kafka.capture import WAIT, Made, taken, until
from tests.kafka.reader import groups
from tests.kafka.test_offsets import own_name, send


def test_a_consumer_of_the_same_topics_keeps_its_assignment_its_place_and_its_records(
    made: Made, producer: Producer, stack: Stack
) -> None:
    capture = made(partitions=2)
    topic, own = capture.topics[0], own_name()
    for partition in range(2):
        send(producer, topic, 20, partition)
    before = groups(stack.bootstrap_servers)
    seen: list[tuple[int, int]] = []
    happened: list[str] = []
    streaming = Consumer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "group.id": own,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    streaming.subscribe(
        [topic],
        on_assign=lambda _, places: happened.append(f"assigned {len(places)}"),
        on_revoke=lambda *_: happened.append("revoked"),
        on_lost=lambda *_: happened.append("lost"),
    )

    def read(count: int) -> bool:
        if (message := streaming.poll(0.1)) is not None and message.error() is None:
            seen.append((message.partition() or 0, message.offset() or 0))
        return len(seen) >= count

    until(lambda: read(10), "the first records have come")
    streaming.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    assert taken(capture) == 1
    for partition in range(2):
        send(producer, topic, 5, partition)
    assert taken(capture) == 2
    assert capture.proof(1) == {"landed": 20}
    until(lambda: read(50), "all records have come")
    assert sorted(seen) == [(partition, n) for partition in range(2) for n in range(25)]
    assert happened == ["assigned 2"]
    (mine,) = streaming.committed([TopicPartition(topic, 0)], WAIT)
    assert mine.offset == 3
    assert groups(stack.bootstrap_servers) == {**before, own: {topic}}
    streaming.close()
