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


def sha256_of(lines: Iterable[str]) -> str:
    """SHA-256 (hex) of lines of text."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def content_sha256(files: Sequence[File], schema_json: str) -> str:
    """The identity of a version: its schema and the digest of every file, by name."""
    return sha256_of([schema_json, *(f"{f.path} {f.sha256}" for f in files)])


def text(manifest: Mapping[str, Any]) -> str:
    """The manifest as it is written: the same content is the same bytes."""
    return json.dumps(manifest, indent=2, sort_keys=True) + "\n"
