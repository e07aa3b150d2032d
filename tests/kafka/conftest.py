"""A broker as clients see it, and warehouses over new topics of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from processor.config import KafkaConfig
from processor.local.stack import Stack
from tests.kafka.capture import Capture, Made
from tests.kafka.test_offsets import created, own_name


@pytest.fixture
def kafka(stack: Stack) -> KafkaConfig:
    return KafkaConfig(bootstrap_servers=stack.bootstrap_servers)


@pytest.fixture
def producer(kafka: KafkaConfig) -> Producer:
    return Producer({"bootstrap.servers": kafka.bootstrap_servers})


@pytest.fixture
def made(stack: Stack, kafka: KafkaConfig, spark: SparkSession, tmp_path: Path) -> Made:
    """A warehouse over two new topics; the first as asked for, the second empty."""

    def make(
        partitions: int = 1, config: dict[str, str] | None = None, flags: tuple[str, ...] = ()
    ) -> Capture:
        topics = created(kafka, own_name(), partitions, config), created(kafka, own_name())
        return Capture(spark, stack, tmp_path / "warehouse", topics, flags)

    return make
