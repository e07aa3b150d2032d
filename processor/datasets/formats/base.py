"""What a dataset format is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Format:
    """A way to write rows: `write(rows, uri)` makes folders `split=<name>` below `uri`.

    Each holds one file for each partition of `rows` that has rows of that split, without the
    column `split`; names sort by partition. The bytes depend on the rows and their order alone.
    `suffix` ends the files' names.
    """

    name: str
    suffix: str
    write: Callable[[DataFrame, str], None]
