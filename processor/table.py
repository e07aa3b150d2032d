"""What a table is: its name, schema and key; what is written to it conforms to that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from processor.errors import ProcessorError


def struct(**columns: T.DataType) -> T.StructType:
    """A schema of nullable columns, in the order given."""
    return T.StructType([T.StructField(name, kind) for name, kind in columns.items()])


@dataclass(frozen=True)
class Table:
    """A table: nothing is written to it that does not conform to its schema.

    `sought_by` are the columns that tell its files apart, so that readers skip those that hold
    nothing of what they ask for; without any, the first few are.
    """

    name: str
    schema: T.StructType
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    sought_by: tuple[str, ...] = ()

    @cached_property
    def arrow(self) -> pa.Schema:
        """The schema as Arrow has it."""
        return to_arrow_schema(self.schema)

    def conform(self, frame: DataFrame) -> DataFrame:
        """The table's columns of `frame`, in order and cast; a value that does not fit fails."""
        if missing := sorted(set(self.schema.names) - set(frame.columns)):
            raise ProcessorError(f"{self.name}: no column {missing}", remedy="mend the stage")
        return frame.select(*(F.col(f.name).cast(f.dataType) for f in self.schema))

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
        """`rows` as an Arrow table; raises ProcessorError on a column too many or too few."""
        listed = [dict(row) for row in rows]
        for row in listed:
            if wrong := sorted(set(self.schema.names) ^ set(row)):
                raise ProcessorError(f"{self.name}: columns differ: {wrong}", remedy="mend it")
        return pa.Table.from_pylist(listed, schema=self.arrow)
