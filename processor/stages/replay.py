"""Replay: what is in quarantine is decoded again, and what differs becomes another attempt.

A replay is a batch with empty ranges, so what became valid goes through every stage as if it had
just been landed, and what earlier batches said stays as it was (docs/adr/0017).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.avro.decode import framed
from processor.avro.defects import SCHEMA_UNAVAILABLE
from processor.avro.framing import SchemaRef
from processor.batches import Batch
from processor.stages.base import Context
from processor.stages.schemas import Schemas, resolved
from processor.stages.selection import Selection
from processor.stages.typed import FIRST_ATTEMPT, typed
from processor.tables import COORDINATES, TYPED

_PLACE = ("batch_id", *COORDINATES)


def changed(context: Context, batch: Batch) -> Iterator[tuple[str, DataFrame]]:
    """The typed rows that the replay `batch` appends, by table: those whose defects differ.

    It is decided on what was known before the batch, so that a batch that was killed and is run
    again appends the same rows. What a silent registry leaves unread is no news of a record.
    """
    selection = Selection.parse(batch.replay or "{}")
    asked = ((name, _log(context, batch, name, selection)) for name in TYPED)
    logs = {name: log for name, log in asked if log is not None}
    schemas = _schemas(context, batch, logs.values())
    for name, log in logs.items():
        # Kept, so that the filter is not pushed below the decoding, once for each field it reads;
        # and what was looked for before the batch was planned is not decoded again to be written.
        largest = context.config.limits.record_bytes
        rows = typed(log, name, schemas, "said", largest=largest).persist()
        unread = F.exists("defects", lambda each: each["code"] == SCHEMA_UNAVAILABLE)
        news = rows.where(~F.col("defects").eqNullSafe(F.col("said.defects")) & ~unread)
        yield (
            name,
            news.withColumns({"batch_id": F.lit(batch.id), "attempt": F.col("said.attempt") + 1}),
        )


def _log(context: Context, batch: Batch, name: str, selection: Selection) -> DataFrame | None:
    """The log rows of a table's quarantine, with what was `said`; None where it is empty."""
    keys = _quarantined(context, batch, name).where(selection.takes(F.col("said.defects")))
    landed = [row["batch_id"] for row in keys.select("batch_id").distinct().collect()]
    if not landed:
        return None
    return context.landed(batch, landed).join(keys, list(_PLACE))


def _quarantined(context: Context, batch: Batch, name: str) -> DataFrame:
    """Rows whose last attempt before the batch has defects: their place, and `said`, that attempt.

    Only rows that were ever defective are looked at: the others have one attempt.
    """
    rows = context.warehouse.frame(context.spark, TYPED[name], as_of=batch.id - 1)
    ever = rows.where((F.size("defects") > 0) | (F.col("attempt") > FIRST_ATTEMPT))
    place = (F.col("origin")[part].alias(part) for part in _PLACE)
    last = F.max_by(F.struct("attempt", "defects"), F.col("attempt"))
    return (
        ever.select(*place, "attempt", "defects")
        .groupBy(*_PLACE)
        .agg(last.alias("said"))
        .where(F.size("said.defects") > 0)
    )


def _schemas(context: Context, batch: Batch, logs: Iterable[DataFrame]) -> Schemas:
    """The writer schema of every distinct reference in log rows, each looked up once."""
    largest = context.config.limits.record_bytes
    named = [framed(log, largest).select("lead") for log in logs]
    if not named:
        return {}
    leads = reduce(DataFrame.union, named).distinct().collect()
    found = {SchemaRef.of(bytes(row["lead"])) for row in leads if row["lead"]}
    return resolved(context, batch, found)
