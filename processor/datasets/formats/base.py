"""What a dataset format is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame

from processor.datasets.manifest import File


def no_index(files: Sequence[File], schema_json: str) -> Mapping[str, str]:
    """Nothing beside the files of rows."""
    del files, schema_json
    return {}


@dataclass(frozen=True)
class Format:
    """A way to write rows: `write(rows, uri)` makes folders `split=<name>` below `uri`.

    Each holds one file for each partition of `rows` that has rows of that split, without the
    column `split`; names sort by partition. The bytes depend on the rows and their order alone.
    `suffix` ends the files' names; `count` says how many rows a file holds, from the file.
    `index` gives the text of files that tell of the others, by name: from those files (their paths
    relative to the format's folder) and the schema that Spark wrote, as JSON.
    """

    name: str
    suffix: str
    write: Callable[[DataFrame, str], None]
    count: Callable[[pa.NativeFile], int]
    index: Callable[[Sequence[File], str], Mapping[str, str]] = no_index
