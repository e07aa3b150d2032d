"""The manifest: everything a reader needs to use a dataset version, and an auditor to trace it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MANIFEST = "manifest.json"
NO_SPLIT = ""
"""The split of a file that holds no rows, but tells of those that do."""
SOURCE = ("topic", "topic_id", "partition", "start_offset", "end_offset")
"""What is said of a range of Kafka."""


@dataclass(frozen=True)
class File:
    """One file of a version; `path` is relative to the manifest."""

    path: str
    split: str
    rows: int
    bytes: int
    sha256: str


def splits(files: Sequence[File]) -> list[dict[str, Any]]:
    """Files of rows by split; a split's SHA-256 is that of its files' digests, one a line."""
    names = sorted({file.split for file in files} - {NO_SPLIT})
    return [_split(name, [file for file in files if file.split == name]) for name in names]


def index(files: Sequence[File]) -> list[dict[str, Any]]:
    """The files that hold no rows."""
    return [_listed(file) for file in files if file.split == NO_SPLIT]


def _listed(file: File) -> dict[str, Any]:
    return {"path": file.path, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}


def _split(name: str, files: Sequence[File]) -> dict[str, Any]:
    return {
        "name": name,
        "rows": sum(file.rows for file in files),
        "sha256": sha256_of(file.sha256 for file in files),
        "files": [_listed(file) for file in files],
    }


def sources(ranges: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was read of Kafka: one range of each partition, of each topic that had the name.

    `ranges` are rows of `batches` in order of batch: each begins where the one before it ended.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in ranges:
        place = each["topic"], each["partition"], each["topic_id"]
        first = found.setdefault(place, {name: each[name] for name in SOURCE})
        first["end_offset"] = each["end_offset"]
    return [found[place] for place in sorted(found, key=lambda place: place[:2])]


def sha256_of(lines: Iterable[str]) -> str:
    """SHA-256 (hex) of lines of text."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def content_sha256(files: Sequence[File], schema_json: str) -> str:
    """What a version holds: its schema and the digest of every file, by name."""
    return sha256_of([schema_json, *(f"{f.path} {f.sha256}" for f in files)])


def text(manifest: Mapping[str, Any]) -> str:
    """The manifest as it is written: the same content is the same bytes."""
    return json.dumps(manifest, indent=2, sort_keys=True) + "\n"
