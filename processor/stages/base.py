"""What a stage is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.config import Config
from processor.listing import Condition, Wanted
from processor.table import Table
from processor.tables import BATCHES, LOG, PROOFS
from processor.warehouse import Warehouse


@dataclass(frozen=True)
class Accepted:
    """What whoever started the run takes upon himself; without it the run stops where it is met."""

    loss: bool = False
    new_topic: bool = False
    defects: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are accepted, by name."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name))


NOTHING_ACCEPTED = Accepted()


@dataclass(frozen=True)
class Request:
    """What a run is asked for: a batch that ends at `until`, or (None) at what is there now."""

    until: datetime | None = None
    accepted: Accepted = NOTHING_ACCEPTED


ALL_THAT_IS_NEW = Request()


@dataclass
class Context:
    """What every stage of a run is given; the Spark session starts when one first asks for it."""

    config: Config
    warehouse: Warehouse
    run_id: str
    start_spark: Callable[[], SparkSession]
    say: Callable[[str], None]
    accepted: Accepted = NOTHING_ACCEPTED

    @cached_property
    def spark(self) -> SparkSession:
        """The session of this process."""
        return self.start_spark()

    def frame(self, table: Table, batch: Batch, holding: Wanted | None = None) -> DataFrame:
        """The table as of `batch`, without files that can hold no row of `holding`."""
        return self.warehouse.frame(self.spark, table, batch.id, holding)

    def landed(self, batch: Batch, batches: Collection[int], topic: str | None = None) -> DataFrame:
        """The rows of the log that `batches` landed, of one topic or (None) of all."""
        holding: list[Condition] = [("batch_id", "in", batches)]
        if topic is not None:
            holding.append(("topic", "=", topic))
        whole = self.frame(LOG, batch, [holding])  # first: without its session there are no columns
        mine = whole.where(F.col("batch_id").isin(*batches))
        return mine if topic is None else mine.where(F.col("topic") == topic)

    def rows(self, table: Table, batch: Batch) -> list[dict[str, Any]]:
        """The rows of a small table as of `batch`."""
        listed: list[dict[str, Any]] = self.warehouse.rows(table, as_of=batch.id).to_pylist()
        return listed


@dataclass(frozen=True)
class Stage:
    """One step from events to decisions: what it reads, what it writes, and how.

    `gate` is asked each time before the stage runs, and raises what stops the batch there. Where
    `rests` says that nothing can have changed, the stage does not run: it has no more to say.
    """

    name: str
    summary: str
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    run: Callable[[Context, Batch], None]
    gate: Callable[[Context, Batch], None] | None = None
    rests: Callable[[Context, Batch], bool] | None = None

    def perform(self, context: Context, batch: Batch) -> None:
        """Says what the stage has to say of the batch, which may be nothing.

        Raises:
            ProcessorError: as the gate and the stage do.
        """
        if self.gate is not None:
            self.gate(context, batch)
        if self.rests is None or not self.rests(context, batch):
            self.run(context, batch)
            return
        writes = Writes(self.name, context, batch)
        for table in self.writes:
            writes.rows(table)

    def writer(self, table: Table) -> str:
        """The name under which this stage commits to `table`."""
        return f"{self.name}/{table.name}"

    def done(self, warehouse: Warehouse, batch_id: int) -> bool:
        """Whether everything that this stage says of the batch is committed."""
        return all(warehouse.committed(t, self.writer(t)) >= batch_id for t in self.writes)


@dataclass(frozen=True)
class Writes:
    """A stage's hand on its tables: each of them is written once for a batch."""

    stage: str
    context: Context
    batch: Batch

    def pending(self, table: Table) -> bool:
        """Whether this batch still has to be written to `table`."""
        return self.context.warehouse.committed(table, self._writer(table)) < self.batch.id

    def rows(self, table: Table, rows: Iterable[Mapping[str, Any]] | pa.Table = ()) -> None:
        """Appends rows that the driver holds; none is an answer too."""
        self.context.warehouse.append_once(table, rows, self._writer(table), self.batch.id)

    def frame(self, table: Table, frame: DataFrame) -> None:
        """Appends rows that Spark computes."""
        self.context.warehouse.append_frame(frame, table, self._writer(table), self.batch.id)

    def _writer(self, table: Table) -> str:
        return f"{self.stage}/{table.name}"


def watermarks(context: Context) -> dict[int, datetime]:
    """The watermark as of each batch: one that moved none leaves it where it was."""
    rows = context.warehouse.rows(PROOFS, columns=["batch_id", "watermark"]).to_pylist()
    reached: dict[int, datetime] = {}
    last: datetime | None = None
    for row in sorted(rows, key=lambda row: row["batch_id"]):
        last = row["watermark"] or last
        if last is not None:
            reached[row["batch_id"]] = last
    return reached


def ranges_of(warehouse: Warehouse, batch_id: int) -> list[dict[str, Any]]:
    """The stored rows of one planned batch."""
    found: list[dict[str, Any]] = warehouse.rows(
        BATCHES, where=[("batch_id", "=", batch_id)]
    ).to_pylist()
    return found


def ranges_since(warehouse: Warehouse, after: int, upto: int) -> list[dict[str, Any]]:
    """The stored rows of the batches after one, up to another, in order of batch."""
    found = warehouse.rows(BATCHES, as_of=upto, where=[("batch_id", ">", after)]).to_pylist()
    return sorted(found, key=lambda row: row["batch_id"])
