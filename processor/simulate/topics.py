"""Topics for this machine, made so that history with its old timestamps stays in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from processor.config import KafkaConfig, Outputs, Topics
from processor.errors import Unavailable
from processor.kafka.security import native

PARTITIONS = 4  # of topics keyed by an inference, so that it and its answers are neighbours
SPREAD = ("inferences", "feedback", "ground_truth", "sessions")
TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000

SETTINGS = {
    "retention.ms": "-1",  # retention goes by record timestamps, and these are years old
    "segment.ms": str(TEN_YEARS_MS),  # so does rolling: a week a segment would make thousands
    "message.timestamp.type": "CreateTime",
}


def create_topics(kafka: KafkaConfig, topics: Topics, outputs: Outputs) -> None:
    """Makes every topic that is not there; those that are stay as they are.

    Raises:
        Unavailable: the broker does not answer, or refuses a topic.
    """
    wanted = [
        NewTopic(topic, PARTITIONS if table in SPREAD else 1, 1, config=SETTINGS)
        for table, topic in {**topics.model_dump(), **outputs.model_dump()}.items()
    ]
    _create(kafka, wanted)


def _create(kafka: KafkaConfig, wanted: Iterable[NewTopic]) -> None:
    seconds = kafka.timeout.total_seconds()
    properties: dict[str, Any] = {**native(kafka), "error_cb": lambda _error: None, "log_level": 0}
    client = AdminClient(properties)
    for topic, made in client.create_topics([*wanted], request_timeout=seconds).items():
        try:
            made.result(2 * seconds)
        except (KafkaException, TimeoutError) as error:
            problem = error.args[0] if error.args else None
            code = problem.code() if isinstance(problem, KafkaError) else None
            if code != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Unavailable(
                    f"Kafka at {kafka.bootstrap_servers} does not make {topic}: {problem or error}",
                    remedy="start the broker (`bfp local up`) or set kafka.bootstrap_servers",
                ) from error
