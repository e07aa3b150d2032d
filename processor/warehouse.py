"""Tables appended to, once, and read as of a batch; with `files`, all that speaks Delta.

Every commit is delta-rs's and has a `txn`: of files that Spark wrote (docs/adr/0029), or of facts
that the driver holds, which need no JVM (docs/adr/0002).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor import files
from processor.errors import (
    RESTORE,
    BatchHeld,
    ConfigError,
    Damaged,
    ProcessorError,
    Unavailable,
)
from processor.faults import damaged
from processor.listing import Condition, File, Wanted, listed
from processor.table import Table

INDEXED_COLUMNS = 10
"""How many columns, from the first, have statistics by file where a table does not name them.
Texts and maps let no reader skip a file, and cost time."""

READS = 1
"""Delta's reader version: no deletion vectors, no columns under other names."""

UNFIT = re.compile(r"[\[\]^|\\*?{}\x00-\x1f]|%[0-9A-Fa-f]{2}")
"""What a place cannot have: delta-rs panics or decodes it, or Spark takes it for a pattern."""

CHECKPOINT_EVERY = 10
"""Commits: to open a table is to read those since its last checkpoint (delta-rs's own is 100)."""

LONGEST = 300
"""Characters of a message: some of delta-rs's are a dump of all that it knows."""


class Warehouse:
    """The tables under one folder or URI; opening it writes nothing.

    Raises:
        ConfigError: something that is no folder has that name, or the name is no table's.
    """

    def __init__(self, root: str) -> None:
        place = None if "://" in root else Path(root).resolve()
        self.root = root.rstrip("/") if place is None else str(place)
        if place is not None and place.exists() and not place.is_dir():
            raise ConfigError(f"the warehouse {self.root} is no folder", remedy="name a folder")
        if strange := UNFIT.search(self.root):
            raise ConfigError(
                f"the warehouse {self.root!r} has {strange[0]!r} in its name, which"
                " delta-rs or Spark does not take",
                remedy="name a folder without",
            )
        self._opened: dict[str, DeltaTable] = {}
        self._lock = RLock()

    def uri(self, *parts: str) -> str:
        """Where a table or folder is."""
        return "/".join((self.root, *parts))

    def spark_uri(self, table: Table) -> str:
        """The same, in the scheme that Hadoop's file systems know."""
        uri = self.uri(table.name)
        return uri.replace("s3://", "s3a://", 1) if "://" in uri else f"file://{uri}"

    def ensure(self, table: Table) -> None:
        """Creates the table, empty, if it is not there.

        Raises:
            Unavailable: the place cannot be written.
        """
        if self._open(table) is not None:
            return
        self._guarded(
            lambda: DeltaTable.create(
                self.uri(table.name),
                schema=table.arrow,
                mode="ignore",
                partition_by=list(table.partition_by) or None,
                configuration=_properties(table),
            )
        )

    def committed(self, table: Table, writer: str) -> int:
        """The last batch that `writer` wrote to `table`; 0 before any."""
        found = self._open(table)
        return (found.transaction_version(writer) or 0) if found else 0

    def append_once(
        self, table: Table, rows: Iterable[Mapping[str, Any]] | pa.Table, writer: str, batch_id: int
    ) -> bool:
        """Appends what `writer` has to say of a batch, wholly or not at all, and only once.

        Returns whether this call wrote it; rows may be none: the commit then says just that.

        Raises:
            BatchHeld: another process committed to the same `writer` at the same moment.
        """
        with self._taken(table) as seen:
            if (seen.transaction_version(writer) or 0) >= batch_id:
                return False
            data = rows if isinstance(rows, pa.Table) else table.rows(rows)
            self._write(seen, table, data, _once(writer, batch_id))
        self._check(table, writer, batch_id)
        return True

    def append_frame(self, frame: DataFrame, table: Table, writer: str, batch_id: int) -> bool:
        """As `append_once`, for a frame that Spark computes: it writes files, delta-rs commits."""
        with self._taken(table) as seen:
            if (seen.transaction_version(writer) or 0) >= batch_id:
                return False
            folder = f"{batch_id:06d}-{uuid4()}"
            files.write(table.conform(frame), table, f"{self.spark_uri(table)}/{folder}")
            made = files.added(self._filesystem(table), folder, _told(table))
            self._guarded(lambda: _commit(seen, table, made, _once(writer, batch_id)))
        self._check(table, writer, batch_id)
        return True

    def append(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends observations, such as `runs`, that are not derived and so have no txn."""
        with self._taken(table) as seen:
            self._write(seen, table, table.rows(rows), None)

    def rows(
        self,
        table: Table,
        as_of: int | None = None,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Rows with `batch_id <= as_of` (None: all) that meet every `where`, without a JVM.

        Raises:
            Damaged: a file of the table is gone, or not what was written.
            Unavailable: it cannot be read.
        """
        found = self._open(table)
        if found is None:
            empty = table.arrow.empty_table()
            return empty.select(list(columns)) if columns else empty
        wanted = _bounded([where], as_of)
        held = _listed(found, table, wanted)
        try:
            schema = pa.schema(found.schema().to_arrow())
            read = files.dataset(self._filesystem(table), table, held, schema).to_table(
                list(columns) if columns else None,
                pq.filters_to_expression(wanted) if wanted else None,
            )
        except (OSError, pa.ArrowInvalid) as error:
            said = f"a file of the table {table.name} cannot be read: {error}"
            if damaged(str(error)):
                raise Damaged(said, remedy=RESTORE) from error
            if not isinstance(error, OSError):
                raise
            raise Unavailable(
                said, remedy="check that the place answers and may be read, then run again"
            ) from error
        return read.cast(pa.schema([table.arrow.field(name) for name in read.column_names]))

    def frame(
        self,
        spark: SparkSession,
        table: Table,
        as_of: int | None = None,
        holding: Wanted | None = None,
    ) -> DataFrame:
        """Rows with `batch_id <= as_of` (None: all), as Spark reads them.

        Files that can hold no row that meets `holding` are left out; the others are read whole.
        """
        held = _listed(self._ensured(table), table, _bounded(holding or [[]], as_of))
        frame = files.scan(spark, table, self.spark_uri(table), held)
        return frame if as_of is None else frame.where(F.col("batch_id") <= as_of)

    def files(self, table: Table, batch_id: int) -> tuple[int, int]:
        """How many rows and bytes the files of one batch hold, from Delta's own statistics."""
        found = self._open(table)
        if found is None:
            return 0, 0
        listed = pa.table(found.get_add_actions(flatten=True)).to_pylist()
        mine = [one for one in listed if one.get("min.batch_id") == batch_id]
        return sum(one["num_records"] for one in mine), sum(one["size_bytes"] for one in mine)

    def has_rows(self, table: Table) -> bool:
        """Whether a table has any files of rows, without a JVM."""
        found = self._open(table)
        return found is not None and bool(found.file_uris())

    def refuse_damage(self, table: Table) -> None:
        """Holds the table's files against what commits say of them; no row is read.

        Spark takes an empty file for one without rows, and delta-rs an empty commit for one that
        says nothing.

        Raises:
            Damaged: a commit is empty or cannot be read; a file is gone, or of another size.
            Unavailable: the place cannot be read.
        """
        try:
            fault = next(self._faults(table), None)
        except OSError as error:
            raise self._unavailable(error) from error
        if fault is not None:
            raise Damaged(f"the table {table.name}: {fault}", remedy=RESTORE)

    def _faults(self, table: Table) -> Iterator[str]:
        place = self._filesystem(table)
        for each in place.get_file_info(pafs.FileSelector("_delta_log", allow_not_found=True)):
            if each.extension == "json" and not each.size:
                yield f"its commit {each.path} is empty"
        told = self._sizes(table)
        for each in place.get_file_info([*told]) if told else ():
            if not each.is_file:
                yield f"its file {each.path} is gone"
            elif each.size != told[each.path]:
                yield f"its file {each.path} has {each.size} bytes, not {told[each.path]}"

    def _sizes(self, table: Table) -> dict[str, int]:
        """How many bytes each file of rows has, as commits say."""
        found = self._open(table)
        if found is None:
            return {}
        told = pa.table(found.get_add_actions(flatten=True))
        paths = map(unquote, told["path"].to_pylist())
        return dict(zip(paths, told["size_bytes"].to_pylist(), strict=True))

    def _filesystem(self, table: Table) -> pafs.FileSystem:
        """Arrow's own: through the one that delta-rs lends it, reads abort Python as it ends."""
        native, path = pafs.FileSystem.from_uri(self.uri(table.name))
        return pafs.SubTreeFileSystem(path, native)

    @contextmanager
    def _taken(self, table: Table) -> Iterator[DeltaTable]:
        """The table as it is now, for one who writes: no reader moves the version it is of."""
        with self._lock:
            seen = self._ensured(table)
            del self._opened[table.name]
        yield seen
        self._opened[table.name] = seen

    def _open(self, table: Table) -> DeltaTable | None:
        """The table as it is now, for one who reads: of its commits, only the new ones are read."""
        with self._lock:
            found = self._loaded(table, self._opened.get(table.name))
            if found is not None:
                self._opened[table.name] = found
            return found

    def _loaded(self, table: Table, known: DeltaTable | None) -> DeltaTable | None:
        try:
            if known is None:
                known = DeltaTable(self.uri(table.name))
            else:
                known.update_incremental()
        except TableNotFoundError:
            return None
        except (OSError, DeltaError) as error:
            why = _why(error)
            if damaged(why):
                raise Damaged(
                    f"the table {table.name} cannot be read: {why}", remedy=RESTORE
                ) from error
            raise self._unavailable(error) from error
        return known

    def _ensured(self, table: Table) -> DeltaTable:
        """The table as it is now, made if it was not there."""
        found = self._open(table)
        if found is None:
            self.ensure(table)
            found = self._open(table)
        if found is None:
            raise self._unavailable(TableNotFoundError(f"{table.name} was removed"))
        return found

    def _write(
        self, seen: DeltaTable, table: Table, data: pa.Table, txn: CommitProperties | None
    ) -> None:
        """Commits on top of the version that was `seen`: a commit made since refuses this one.

        Given the place alone, delta-rs would take the newest version for the one that was checked,
        and commit the same transaction twice.
        """
        if not data.num_rows:
            self._guarded(lambda: _commit(seen, table, (), txn))  # in half the time of the other
            return
        self._guarded(
            lambda: write_deltalake(
                seen,
                data,
                mode="append",
                commit_properties=txn,
                partition_by=list(table.partition_by) or None,
            )
        )

    def _guarded(self, write: Callable[[], object]) -> None:
        try:
            write()
        except CommitFailedError as error:
            raise BatchHeld(
                f"another run is writing to {self.root}: {error}", remedy="let it finish"
            ) from error
        except (OSError, DeltaError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"the warehouse {self.root} cannot be used: {_why(error)}",
            remedy="check that the place exists, has room and may be written, then run again",
        )

    def _check(self, table: Table, writer: str, batch_id: int) -> None:
        """Delta skips a stale txn silently, so every write is looked for after it was made."""
        if self.committed(table, writer) < batch_id:
            raise ProcessorError(
                f"{table.name}: the commit {writer}={batch_id} is not there",
                remedy="run again; if it stays so, another writer uses this warehouse",
            )


def _bounded(wanted: Wanted, as_of: int | None) -> Wanted | None:
    """What is wanted of the batches up to `as_of`; None where that is everything."""
    bound: list[Condition] = [("batch_id", "<=", as_of)] if as_of is not None else []
    bounded = [[*bound, *each] for each in wanted]
    return bounded if all(bounded) else None


def _listed(found: DeltaTable, table: Table, wanted: Wanted | None) -> list[File]:
    if (version := found.protocol().min_reader_version) > READS:
        raise ConfigError(
            f"the table {table.name} is of reader version {version}; this software reads {READS}",
            remedy="whoever upgraded it has to read it, or restore it from before",
        )
    return listed(pa.table(found.get_add_actions(flatten=True)), table.partition_by, wanted)


def _why(error: Exception) -> str:
    """The first line of an error: of what is written in Rust there is more."""
    why, _, _trace = str(error).partition("\n")
    return why[:LONGEST]


def _commit(
    seen: DeltaTable, table: Table, made: Iterable[AddAction], txn: CommitProperties | None
) -> None:
    """Commits files that are there."""
    seen.create_write_transaction(
        [*made],
        "append",
        table.arrow,
        partition_by=list(table.partition_by) or None,
        commit_properties=txn,
    )


def _once(writer: str, batch_id: int) -> CommitProperties:
    return CommitProperties(app_transactions=[Transaction(writer, batch_id)])


def _told(table: Table) -> Sequence[str]:
    """The columns whose ends a commit tells of each file."""
    return table.sought_by or table.schema.names[:INDEXED_COLUMNS]


def _properties(table: Table) -> dict[str, str | None]:
    """What a table is created with: nothing is taken away, and which columns have statistics."""
    own: dict[str, str | None] = {
        "delta.appendOnly": "true",
        "delta.checkpointInterval": str(CHECKPOINT_EVERY),
    }
    if table.sought_by:
        return {**own, "delta.dataSkippingStatsColumns": ",".join(table.sought_by)}
    return {**own, "delta.dataSkippingNumIndexedCols": str(INDEXED_COLUMNS)}
