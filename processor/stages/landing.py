"""What became of one offset: where it landed, and each attempt to decode it. No JVM."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from processor.config import Config
from processor.errors import ConfigError
from processor.plugins import nearest
from processor.stages.lookup import attempts
from processor.tables import BATCHES, LOG, LOSSES, PROOFS, TYPED
from processor.warehouse import Warehouse

Row = dict[str, Any]
_PLACE = re.compile(r"(?P<topic>[^/]+)/(?P<partition>\d{1,9})/(?P<offset>\d{1,18})")
_HOLES = ("control", "aborted", "compacted", "lost")


class Place(NamedTuple):
    """An offset of a partition."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """`TOPIC/PARTITION/OFFSET`; raises ConfigError for anything else."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text!r} is no offset", remedy="write TOPIC/PARTITION/OFFSET")
        return cls(found["topic"], int(found["partition"]), int(found["offset"]))

    def __str__(self) -> str:
        return "/".join(map(str, self))


def ranges(config: Config, warehouse: Warehouse, place: Place) -> list[Row]:
    """The planned ranges that hold an offset: several, where its topic was made anew.

    Raises:
        ConfigError: no batch has read such a topic, partition or offset; with the nearest name.
    """
    rows = sorted(warehouse.rows(BATCHES).to_pylist(), key=lambda row: row["batch_id"])
    refuse_unread(
        "topic", place.topic, {row["topic"] for row in rows} | set(config.topics.by_topic())
    )
    of_topic = [row for row in rows if row["topic"] == place.topic]
    refuse_unread("partition", str(place.partition), {str(row["partition"]) for row in of_topic})
    mine = [row for row in of_topic if row["partition"] == place.partition]
    found = [row for row in mine if row["start_offset"] <= place.offset < row["end_offset"]]
    if not found:
        first = min(row["start_offset"] for row in mine)
        raise ConfigError(
            f"no batch has read the offset {place.offset} of {place.topic}/{place.partition}",
            remedy=f"they have read {first} to {max(row['end_offset'] for row in mine) - 1}",
        )
    return found


def landings(config: Config, warehouse: Warehouse, place: Place) -> list[Row]:
    """What each batch that took an offset made of it; raises ConfigError as `ranges` does.

    `record` is what the log holds, None for a hole; then `hole` is the account of its range.
    `attempts` are those to decode it, `event` the fields of the last one.
    """
    table = TYPED.get(config.topics.by_topic().get(place.topic, ""))
    decoded = attempts(warehouse, table, *place) if table else []
    return [
        _landing(warehouse, place, each, [r for r in decoded if _landed_by(r, each)])
        for each in ranges(config, warehouse, place)
    ]


def attempt(row: Row) -> Row:
    """What is told of one attempt to decode a record."""
    return {
        **{name: row["origin"][name] for name in ("topic", "partition", "offset", "timestamp")},
        "landed_in_batch": row["origin"]["batch_id"],
        "batch": row["batch_id"],
        "attempt": row["attempt"],
        "schema": row["origin"]["schema"],
        "defects": row["defects"],
    }


def _landing(warehouse: Warehouse, place: Place, taken: Row, decoded: list[Row]) -> Row:
    batch = taken["batch_id"]
    record = _record(warehouse, place, batch)
    return {
        "batch": batch,
        "range": [taken["start_offset"], taken["end_offset"]],
        "record": record,
        "hole": None if record else _hole(warehouse, place, batch),
        "attempts": [attempt(row) for row in decoded],
        "row": decoded[-1] if decoded else None,
    }


def _landed_by(row: Row, taken: Row) -> bool:
    found: bool = row["origin"]["batch_id"] == taken["batch_id"]
    return found


def _record(warehouse: Warehouse, place: Place, batch: int) -> Row | None:
    where = [("batch_id", "=", batch), *_is(place), ("offset", "=", place.offset)]
    rows = warehouse.rows(LOG, where=where).to_pylist()
    return next(map(_told, rows), None)


def _told(row: Row) -> Row:
    return {
        "timestamp": row["timestamp"],
        "key": None if row["key"] is None else row["key"].decode(errors="replace"),
        "value_bytes": None if row["value"] is None else len(row["value"]),
        "headers": [header["key"] for header in row["headers"] or ()],
    }


def _hole(warehouse: Warehouse, place: Place, batch: int) -> Row:
    """How many offsets of the range are no records, by cause; whether this one is lost."""
    where = [("batch_id", "=", batch), *_is(place)]
    proofs = warehouse.rows(PROOFS, where=where).to_pylist()
    lost = warehouse.rows(LOSSES, where=where).to_pylist()
    is_lost = any(row["start_offset"] <= place.offset < row["end_offset"] for row in lost)
    return {"is_lost": is_lost, **{name: sum(row[name] for row in proofs) for name in _HOLES}}


def _is(place: Place) -> list[tuple[str, str, Any]]:
    return [("topic", "=", place.topic), ("partition", "=", place.partition)]


def refuse_unread(what: str, name: str, known: Iterable[str]) -> None:
    """Raises ConfigError, with the nearest name, for one that is not known."""
    choices = sorted(known)
    if name not in choices:
        remedy = nearest(name, choices) if choices else "`bfp run` reads the first"
        raise ConfigError(f"no batch has read a {what} {name!r}", remedy=remedy)
