"""A small world on topics of its own, and warehouses that are filled from it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from processor.config import Topics, load
from processor.local.stack import Stack
from processor.simulate.census import new_year, reference
from processor.simulate.message import Message
from processor.simulate.produce import Sender
from processor.simulate.timeline import Timeline
from processor.simulate.topics import create_topics
from tests.kafka.reader import whole

ROOT = Path(__file__).parents[2]
CENSUS = ROOT / "data" / "employment_ma.parquet"
PERSONS, SEED, YEAR = 400, 11, 2016
NEW_ROWS = 100  # of the volume rule: fewer than become known, so that it fires
TRIGGERS, DATASETS = "retraining_triggers", "datasets"


@dataclass(frozen=True)
class Site:
    """One warehouse with its configuration and its own output topics, all on the same inputs."""

    home: Path
    outputs: dict[str, str]

    @property
    def config(self) -> Path:
        return self.home / "bfp.yaml"

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse"


@dataclass(frozen=True)
class World:
    """What was produced once; `home` holds the sites."""

    stack: Stack
    home: Path
    mark: str

    @classmethod
    def produced(cls, stack: Stack, home: Path) -> World:
        """A year of a few persons, on topics that nobody else reads."""
        world = cls.silent(stack, home)
        world.say(world.messages())
        return world

    @classmethod
    def silent(cls, stack: Stack, home: Path) -> World:
        """A world in which nothing was said yet."""
        world = cls(stack, home, uuid.uuid4().hex[:8])
        pq.write_table(reference(pq.read_table(CENSUS)), home / "reference.parquet")
        world.site("producer")
        return world

    def messages(self, persons: int = PERSONS) -> list[Message]:
        """Everything that so many persons say in the year, in order of time."""
        timeline = Timeline.of(pq.read_table(CENSUS), (YEAR,), SEED, persons)
        return list(timeline.between(new_year(YEAR), new_year(YEAR + 1)))

    def say(self, messages: Iterable[Message]) -> None:
        """Sends messages to the input topics."""
        config = load(self.home / "producer" / "bfp.yaml")
        Sender(config.kafka, config.registry, config.topics).send(messages)

    def site(self, name: str) -> Site:
        """An empty warehouse; its output topics are there."""
        names = (TRIGGERS, DATASETS)
        site = Site(self.home / name, {out: f"{self.mark}.{name}.{out}" for out in names})
        (site.home / "loops").mkdir(parents=True)
        loop = yaml.safe_load((ROOT / "conf/loops/employment.yaml").read_text())
        loop["reference"]["path"] = str(self.home / "reference.parquet")
        (volume,) = (rule for rule in loop["rules"] if rule["rule"] == "volume")
        volume["new_rows"] = NEW_ROWS
        (site.home / "loops" / "employment.yaml").write_text(yaml.safe_dump(loop))
        site.config.write_text(yaml.safe_dump(self._told(site)))
        config = load(site.config)
        create_topics(config.kafka, config.topics, config.outputs)
        return site

    def _told(self, site: Site) -> dict[str, Any]:
        return {
            **{name: name for name in ("warehouse", "report", "loops")},
            "kafka": {"bootstrap_servers": self.stack.bootstrap_servers},
            "registry": {"url": self.stack.registry_url},
            "topics": {
                table: f"{self.mark}.{topic}" for table, topic in Topics().model_dump().items()
            },
            "outputs": site.outputs,
        }

    def read(self, topic: str) -> list[dict[str, Any]]:
        """Every event on the topic, decoded with the schema that its producer registered."""
        decode: Any = AvroDeserializer(SchemaRegistryClient({"url": self.stack.registry_url}))
        context = SerializationContext(topic, MessageField.VALUE)
        found = whole(self.stack.bootstrap_servers, topic)
        return [decode(message.value(), context) for message in found]
