"""A plain consumer, as anybody's: what stands in partitions, to the end of each."""

from __future__ import annotations

import uuid

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from processor.kafka.offsets import END_OF_PARTITION, TO_THE_END

SECONDS = 30.0  # that the broker may be silent


def plain(servers: str) -> Consumer:
    """It says where a partition ends, and the broker does not wait for more to come."""
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": uuid.uuid4().hex,
            "enable.auto.commit": False,
            **TO_THE_END,
            "isolation.level": "read_committed",
        }
    )


def messages(servers: str, *places: TopicPartition) -> list[Message]:
    """Every committed record from each place to the end of its partition."""
    consumer = plain(servers)
    consumer.assign(list(places))
    found: list[Message] = []
    left = {(place.topic, place.partition) for place in places}
    while left:
        message = consumer.poll(SECONDS)
        assert message is not None, f"{left} do not end"
        if (error := message.error()) is None:
            found.append(message)
            continue
        assert error.code() == END_OF_PARTITION
        left.discard((message.topic() or "", message.partition() or 0))
    consumer.close()
    return found


def whole(servers: str, *topics: str) -> list[Message]:
    """Every committed record of all partitions of topics."""
    consumer = plain(servers)
    known = consumer.list_topics(timeout=SECONDS).topics
    consumer.close()
    places = [TopicPartition(topic, p, 0) for topic in topics for p in known[topic].partitions]
    return messages(servers, *places)


def groups(servers: str) -> dict[str, set[str]]:
    """The topics of which each group of consumers has committed offsets."""
    admin = AdminClient({"bootstrap.servers": servers})
    told = admin.list_consumer_groups(request_timeout=SECONDS).result().valid
    found: dict[str, set[str]] = {}
    for name in (each.group_id for each in told):
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])
        found[name] = {each.topic for each in asked[name].result(SECONDS).topic_partitions}
    return found
