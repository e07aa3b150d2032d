"""Whole runs in this process, over topics of their own to which tests write byte by byte."""

from __future__ import annotations

import io
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.fs as pafs
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from processor.avro.contracts import contract
from processor.avro.registry import schema_id
from processor.config import Config, RegistryConfig, Topics, load
from processor.stages.base import NOTHING_ACCEPTED, Accepted, Request, Stage
from processor.stages.pipeline import STAGES
from processor.stages.replayer import Replayed, replayed
from processor.stages.runner import Taken, take
from processor.stages.selection import Selection
from processor.tables import RECORDS, TYPED
from processor.warehouse import Warehouse

LIMIT = 60.0  # seconds
MOST_QUEUED = 500_000  # messages that wait in the producer
T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MODEL, METRIC, DATASET = "classifier", "employed", "employment-train"
OUTPUTS = ("retraining_triggers", "datasets")
LOOP = {
    "loop": "employment",
    "model": MODEL,
    "outcome": {"metric": METRIC, "from": "ground_truth", "window": "14d"},
    "datasets": [{"name": DATASET, "split": {"by": "subject", "validation": 0.1, "test": 0.1}}],
    "rules": [{"rule": "volume", "new_rows": 1}],
}
Say = Callable[[str], None]
Place = tuple[int, str, int, int]


KEPT = {"retention.ms": "-1"}
"""Records carry times of long ago, which a broker would delete within minutes."""


@dataclass(frozen=True)
class Record:
    """What a producer sends; `at` is the record's timestamp."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    at: datetime = T0


@dataclass(frozen=True)
class Lab:
    """One warehouse; its topics begin with `mark`."""

    spark: SparkSession
    kafka: str
    registry: str | None
    home: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    settings: Mapping[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def config(self) -> Config:
        loops = self.home / "loops"
        loops.mkdir(parents=True, exist_ok=True)
        (loops / "employment.yaml").write_text(yaml.safe_dump(LOOP))
        told = {
            **{name: str(self.home / name) for name in ("warehouse", "report", "loops")},
            "kafka": {"bootstrap_servers": self.kafka},
            "registry": {"url": self.registry},
            "topics": {table: self.topic(table) for table in RECORDS},
            "outputs": {name: f"{self.mark}.{name}" for name in OUTPUTS},
            **self.settings,
        }
        file = self.home / "bfp.yaml"
        file.write_text(yaml.safe_dump(told))
        return load(file, (), {})

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse"

    def topic(self, table: str) -> str:
        return f"{self.mark}.{Topics().model_dump()[table]}"

    def create(self, **config: Mapping[str, str]) -> Lab:
        """Makes every topic, with two partitions; `config` of a topic by its table."""
        outputs = [NewTopic(f"{self.mark}.{name}", 1, 1) for name in OUTPUTS]
        inputs = [
            NewTopic(self.topic(table), 2, 1, config={**KEPT, **config.get(table, {})})
            for table in RECORDS
        ]
        admin = AdminClient({"bootstrap.servers": self.kafka})
        for done in admin.create_topics([*inputs, *outputs]).values():
            done.result(LIMIT)
        return self

    def copy(self, home: Path) -> Lab:
        """The same warehouse as it is now, somewhere else."""
        shutil.copytree(self.home, home)
        return replace(self, home=home, said=[])

    def with_settings(self, **settings: Any) -> Lab:  # noqa: ANN401  # any part of a configuration
        return replace(self, settings={**self.settings, **settings})

    def send(self, table: str, records: Iterable[Record], partition: int = 0) -> None:
        settings = {"linger.ms": 20, "queue.buffering.max.messages": MOST_QUEUED}
        producer = Producer({"bootstrap.servers": self.kafka, **settings})
        for record in records:
            producer.produce(
                self.topic(table),
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=partition,
                timestamp=int(record.at.timestamp() * 1000),
            )
            producer.poll(0)
        assert producer.flush(LIMIT) == 0

    def run(
        self,
        say: Say | None = None,
        accepted: Accepted = NOTHING_ACCEPTED,
        only: Sequence[Stage] = STAGES,
    ) -> Taken | None:
        heard = say or self.said.append
        return take(self.config, lambda: self.spark, heard, Request(accepted=accepted), only)

    def replay(
        self,
        selection: Selection = Selection(),  # noqa: B008  # frozen
        say: Say | None = None,
        accepted: Accepted = NOTHING_ACCEPTED,
    ) -> Replayed:
        heard = say or self.said.append
        return replayed(self.config, lambda: self.spark, heard, selection, accepted)

    def skip(self, batch: int, *names: str) -> Lab:
        """Lets stages have nothing to say of a batch: tests of others need not wait for them."""
        place = Warehouse(str(self.warehouse))
        for each in STAGES:
            for table in each.writes if each.name in names else ():
                place.append_once(table, [], each.writer(table), batch)
        return self

    def arrow(self, table: str) -> pa.Table:
        """A table as anybody reads it."""
        place = str(self.warehouse / table)
        files = pafs.SubTreeFileSystem(place, pafs.LocalFileSystem())
        return DeltaTable(place).to_pyarrow_table(filesystem=files)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Its rows; none where it is not there."""
        if not (self.warehouse / table).is_dir():
            return []
        rows: list[dict[str, Any]] = self.arrow(table).to_pylist(maps_as_pydicts="strict")
        return rows

    def attempts(self, as_of: int) -> dict[Place, list[dict[str, Any]]]:
        """Every attempt at each record that is known as of a batch, in order."""
        found: dict[Place, list[dict[str, Any]]] = {}
        typed = (row for table in TYPED for row in self.rows(table) if row["batch_id"] <= as_of)
        for row in sorted(typed, key=lambda row: row["attempt"]):
            place = tuple(row["origin"][n] for n in ("batch_id", "topic", "partition", "offset"))
            found.setdefault(place, []).append(row)
        return found

    def codes(self, batch: int | None = None) -> list[str]:
        """The codes of all defects that typed rows of a batch have."""
        return sorted(
            defect["code"]
            for table in TYPED
            for row in self.rows(table)
            if batch in (None, row["batch_id"])
            for defect in row["defects"]
        )


def said(ident: str, at: datetime = T0) -> dict[str, Any]:
    """An inference."""
    return {
        "event_id": f"i-{ident}",
        "event_time": at,
        "source": "urn:test",
        "inference_id": ident,
        "model_name": MODEL,
        "model_version": "1",
        "task": "CLASSIFICATION",
        "role": "PRIMARY",
        "status": "OK",
        "pred_label": "true",
        "subject_key": f"person of {ident}",
    }


def answered(ident: str, at: datetime = T0 + HOUR) -> dict[str, Any]:
    """The ground truth of it."""
    return {
        "event_id": f"g-{ident}",
        "event_time": at,
        "source": "urn:test",
        "inference_id": ident,
        "metric": METRIC,
        "value_bool": True,
        "known_time": at,
        "label_source": "register",
        "maturity": "FINAL",
    }


@cache
def _parsed(text: str) -> Any:  # noqa: ANN401  # fastavro's own form
    return fastavro.parse_schema(json.loads(text))


def body(event: Mapping[str, Any], text: str) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _parsed(text), dict(event))
    return out.getvalue()


def by_number(number: int, encoded: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + encoded


def wider(record: str) -> str:
    """A later version of a contract, with a field that it does not have yet."""
    schema = contract(record).schema
    novelty = {"name": "novelty", "type": ["null", "string"], "default": None}
    schema["fields"].append(novelty)
    return json.dumps(schema)


def registered(url: str, topic: str, text: str) -> int:
    return schema_id(RegistryConfig(url=url), topic, text)
