"""Files of events that are not sent yet: JSON, one event a line, or Avro containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro

from processor.errors import ConfigError

CONTAINER_MAGIC = b"Obj\x01"


@dataclass(frozen=True)
class FileOfEvents:
    """The events of a file, each with its number from 1, which is its line in a file of JSON.

    `record` is what the file says that they are. A line that is no JSON comes as None; empty lines
    do not come.
    """

    record: str | None
    events: Iterator[tuple[int, Any]]


def events_of(path: Path) -> FileOfEvents:
    """The events of a file, read as they are asked for.

    Raises:
        ConfigError: the file cannot be read, or is a container that ends before its end.
    """
    try:
        with path.open("rb") as opened:
            container = opened.read(len(CONTAINER_MAGIC)) == CONTAINER_MAGIC
        return _container(path) if container else FileOfEvents(None, _lines(path))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, _json(line)


def _json(line: bytes) -> Any:  # noqa: ANN401  # whatever the line holds
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _container(path: Path) -> FileOfEvents:
    with path.open("rb") as opened:
        try:
            schema = fastavro.reader(opened).writer_schema
        except (EOFError, ValueError) as error:
            raise _unreadable(path, str(error)) from error
    name = schema.get("name", "") if isinstance(schema, dict) else ""
    return FileOfEvents(str(name).rpartition(".")[2] or None, _records(path))


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as opened:
        try:
            yield from enumerate(fastavro.reader(opened), start=1)
        except (EOFError, ValueError) as error:
            raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"cannot read {path}: {why}", remedy="name a file of events")
