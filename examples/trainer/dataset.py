"""Reading a published dataset: the manifest says what is there, and what it must look like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.errors import RefusedError


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset, as its manifest describes it."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, uri: str) -> Dataset:
        """The version at a folder's path or file:// URI; raises RefusedError if unreadable."""
        folder = Path(unquote(urlparse(uri).path))
        try:
            return cls(folder, json.loads((folder / "manifest.json").read_text()))
        except (OSError, ValueError) as error:
            raise RefusedError(f"no manifest at {uri}: {error}") from error

    def rows(self, split: str) -> pa.Table:
        """The rows of a split; raises RefusedError when a file is not what the manifest says."""
        found = [one for one in self.manifest["splits"] if one["name"] == split]
        tables = [self._checked(file) for one in found for file in one["files"]]
        if not tables:
            raise RefusedError(f"{self.folder}: the split {split!r} has no rows")
        return pa.concat_tables(tables)

    def _checked(self, file: Mapping[str, Any]) -> pa.Table:
        path = self.folder / file["path"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RefusedError(f"{path} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise RefusedError(f"{path} is not the file that the manifest describes")
        return pq.read_table(pa.BufferReader(content))

    def features(self, rows: pa.Table) -> tuple[list[str], list[str]]:
        """Names of the numeric and the categorical columns."""
        prefixes = self.manifest["features"]
        return (
            [name for name in rows.column_names if name.startswith(prefixes["numeric"])],
            [name for name in rows.column_names if name.startswith(prefixes["categorical"])],
        )
