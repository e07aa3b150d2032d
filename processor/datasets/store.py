"""Dataset files: written aside, then moved into place whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pyarrow.fs as pafs

from processor.datasets.formats.base import Format
from processor.datasets.manifest import MANIFEST, NO_SPLIT, File

CHUNK = 1 << 20  # bytes read at a time when hashing


class Store:
    """The folder of one dataset version, on any file system that Arrow knows.

    Everything happens in a folder beside it, `<version>.part`; `finish` moves that into place.
    A version that was left half-made is made again from nothing.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._fs, self._path = pafs.FileSystem.from_uri(uri)
        self._aside = f"{self._path}.part"

    @property
    def aside_uri(self) -> str:
        """Where Spark writes."""
        return _with_scheme(self.uri).replace("s3://", "s3a://", 1) + ".part"

    def begin(self) -> None:
        """Removes what an interrupted run left."""
        self.remove()
        self._fs.create_dir(self._aside)

    def collect(self, form: Format, splits: tuple[str, ...]) -> Iterator[File]:
        """Gives the files that Spark wrote names that depend on content alone, and their digests.

        Spark's files lie in `<aside>/_spark/<format>/split=<name>/`.
        """
        for split in splits:
            folder = f"{self._aside}/_spark/{form.name}/split={split}"
            selector = pafs.FileSelector(folder, allow_not_found=True)
            found = sorted(i.path for i in self._fs.get_file_info(selector) if _is_data(i))
            if found:
                self._fs.create_dir(f"{self._aside}/{form.name}/{split}")
            for number, path in enumerate(found):
                name = f"{form.name}/{split}/part-{number:05d}{form.suffix}"
                self._fs.move(path, f"{self._aside}/{name}")
                yield self._described(name, split, form)

    def index(self, form: Format, files: Sequence[File], schema_json: str) -> Iterator[File]:
        """Writes what the format has to say of its files, into files that hold no rows."""
        relative = [replace(f, path=f.path.removeprefix(f"{form.name}/")) for f in files]
        for name, content in form.index(relative, schema_json).items():
            path = f"{form.name}/{name}"
            self._fs.create_dir(str(PurePosixPath(f"{self._aside}/{path}").parent))
            with self._fs.open_output_stream(f"{self._aside}/{path}") as out:
                out.write(content.encode())
            yield self._described(path, NO_SPLIT)

    def digests(self) -> dict[str, str]:
        """The SHA-256 (hex) of every file that is there, by its path below the version."""
        selector = pafs.FileSelector(self._path, allow_not_found=True, recursive=True)
        files = [i for i in self._fs.get_file_info(selector) if i.type == pafs.FileType.File]
        paths = sorted(info.path for info in files)
        return {path.removeprefix(f"{self._path}/"): self._sha256(path) for path in paths}

    def manifest(self) -> dict[str, Any]:
        """The manifest; raises OSError where there is none."""
        with self._fs.open_input_stream(f"{self._path}/{MANIFEST}") as source:
            told: dict[str, Any] = json.loads(source.read())
        return told

    def remove(self) -> None:
        """Removes the version, and what was left half-made of it."""
        for path in (self._aside, self._path):
            if self._fs.get_file_info(path).type != pafs.FileType.NotFound:
                self._fs.delete_dir(path)

    def finish(self, manifest: str) -> None:
        """Writes the manifest and moves the version into place."""
        spark_left = f"{self._aside}/_spark"
        if self._fs.get_file_info(spark_left).type != pafs.FileType.NotFound:
            self._fs.delete_dir(spark_left)
        with self._fs.open_output_stream(f"{self._aside}/{MANIFEST}") as out:
            out.write(manifest.encode())
        self._fs.move(self._aside, self._path)

    def _described(self, name: str, split: str, form: Format | None = None) -> File:
        path = f"{self._aside}/{name}"
        digest = self._sha256(path)
        with self._fs.open_input_file(path) as source:
            rows = form.count(source) if form else 0
        size = self._fs.get_file_info(path).size
        return File(name, split, rows, size, digest)

    def _sha256(self, path: str) -> str:
        digest = hashlib.sha256()
        with self._fs.open_input_stream(path) as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


def _is_data(info: pafs.FileInfo) -> bool:
    return info.type == pafs.FileType.File and not PurePosixPath(info.path).name.startswith(
        (".", "_")
    )


def _with_scheme(uri: str) -> str:
    return uri if "://" in uri else f"file://{uri}"
