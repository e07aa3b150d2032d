"""Tables laid over another warehouse, which is read and never written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from processor.errors import ProcessorError
from processor.table import Table
from processor.tables import BATCHES, LABEL_REQUESTS, LOG, LOSSES, PROOFS, SCHEMAS, TYPED
from processor.warehouse import Warehouse

SHARED = (BATCHES, LOG, LOSSES, PROOFS, SCHEMAS, *TYPED.values(), LABEL_REQUESTS)
"""What was read, decoded and asked for: the same, whatever is made of it."""

_NAMES = {table.name for table in SHARED}


class Overlay(Warehouse):
    """Its own tables in its own folder; those of `SHARED` are the base's, and only read."""

    def __init__(self, base: Warehouse, root: str) -> None:
        super().__init__(root)
        self._base = base

    def uri(self, *parts: str) -> str:
        """Where a table or folder is: in the base, if it is shared."""
        return self._base.uri(*parts) if parts and parts[0] in _NAMES else super().uri(*parts)

    def ensure(self, table: Table) -> None:
        """Creates one of its own tables; a shared one has to be there.

        Raises:
            Unavailable: the place cannot be written.
            ProcessorError: the base lacks a table.
        """
        if table.name not in _NAMES:
            super().ensure(table)
        elif self._open(table) is None:
            raise ProcessorError(f"{self._base.root} has no {table.name}", remedy="finish its run")

    def append_once(
        self, table: Table, rows: Iterable[Mapping[str, Any]] | pa.Table, writer: str, batch_id: int
    ) -> bool:
        """As the base's, to its own tables alone."""
        self._refuse_shared(table)
        return super().append_once(table, rows, writer, batch_id)

    def append_frame(self, frame: DataFrame, table: Table, writer: str, batch_id: int) -> bool:
        """As the base's, to its own tables alone."""
        self._refuse_shared(table)
        return super().append_frame(frame, table, writer, batch_id)

    def append(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """As the base's, to its own tables alone."""
        self._refuse_shared(table)
        super().append(table, rows)

    def _refuse_shared(self, table: Table) -> None:
        if table.name in _NAMES:
            raise ProcessorError(f"{table.name} belongs to the base", remedy="mend the stage")
