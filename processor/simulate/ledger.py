"""The ledger of what was produced: where each message stands, and what was true of it."""

from __future__ import annotations

from array import array
from typing import Any

import pyarrow as pa

from processor.errors import ProcessorError
from processor.simulate.message import Message

MICROS = pa.timestamp("us", tz="UTC")
NOT_YET = -1

# What an oracle needs of a body to compute outcomes and measurements; null where a record has none.
FROM_BODY: dict[str, pa.DataType] = {
    "event_id": pa.string(),
    "event_time": MICROS,
    "source": pa.string(),
    "subject_key": pa.string(),
    "training_allowed": pa.bool_(),
    "session_id": pa.string(),
    "inference_id": pa.string(),
    "request_id": pa.string(),
    "model_name": pa.string(),
    "model_version": pa.string(),
    "role": pa.string(),
    "action": pa.string(),
    "response_time": MICROS,
    "pred_label": pa.string(),
    "metric": pa.string(),
    "value_bool": pa.bool_(),
    "known_time": MICROS,
    "op": pa.string(),
    "supersedes": pa.string(),
    "trigger_id": pa.string(),
}
FROM_MAPS = {
    "pred_score": ("class_probs", "true", pa.float64()),
    "sex": ("protected_attributes", "sex", pa.string()),
    "race": ("protected_attributes", "race", pa.string()),
}


class Ledger:
    """One row a message, in the order of sending; complete when every row is confirmed."""

    def __init__(self) -> None:
        self._partitions = array("q")
        self._offsets = array("q")
        self._columns: dict[str, list[Any]] = {}
        for name in ("topic", "timestamp", "record", "key", "poison", *FROM_BODY, *FROM_MAPS):
            self._columns[name] = []

    def add(self, topic: str, message: Message) -> int:
        """Enters a message, and returns its place.

        What a poisoned message would have said stays out: it says nothing.
        """
        body = message.body if message.poison is None else {"event_id": message.body["event_id"]}
        columns = self._columns
        columns["topic"].append(topic)
        columns["timestamp"].append(message.timestamp // 1000 * 1000)  # Kafka keeps milliseconds
        columns["record"].append(message.record)
        columns["key"].append(message.key)
        columns["poison"].append(message.poison)
        for name in FROM_BODY:
            columns[name].append(body.get(name))
        for name, (field, key, _) in FROM_MAPS.items():
            columns[name].append(body.get(field, {}).get(key))
        self._partitions.append(NOT_YET)
        self._offsets.append(NOT_YET)
        return len(self._offsets) - 1

    def confirm(self, place: int, partition: int | None, offset: int | None) -> None:
        """Where the broker has put the message."""
        self._partitions[place] = NOT_YET if partition is None else partition
        self._offsets[place] = NOT_YET if offset is None else offset

    def table(self) -> pa.Table:
        """The whole ledger; raises ProcessorError when a message was never confirmed."""
        if NOT_YET in self._offsets:
            raise ProcessorError(
                f"{self._offsets.count(NOT_YET)} messages were neither confirmed nor refused",
                remedy="flush the producer before you read its ledger",
            )
        types = {"timestamp": MICROS, **FROM_BODY, **{k: t for k, (_, _, t) in FROM_MAPS.items()}}
        columns = {
            name: pa.array(values, types.get(name, pa.string()))
            for name, values in self._columns.items()
        }
        where = {
            "partition": pa.array(self._partitions, pa.int32()),
            "offset": pa.array(self._offsets, pa.int64()),
        }
        return pa.table({"topic": columns.pop("topic"), **where, **columns})
