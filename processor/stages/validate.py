"""validate: every log row becomes one typed row, good or bad, with the reasons beside it."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.avro.contracts import contract
from processor.avro.decode import decode, framed
from processor.avro.framing import SchemaRef
from processor.avro.registry import Missing, Resolved, SchemaSource
from processor.batches import Batch
from processor.checks import defects
from processor.stages.base import Context, Stage, Writes
from processor.stages.snapshot import refuse_loss
from processor.tables import LOG, PROOFS, RECORDS, TYPED

FIRST_ATTEMPT = 1
Schemas = Mapping[SchemaRef, Resolved | Missing]


def run(context: Context, batch: Batch) -> None:
    """Decodes the batch's log rows, one table of events after the other."""
    writes = Writes("validate", context, batch)
    due = [name for name in TYPED if writes.pending(TYPED[name])]
    if not due:
        return
    filled = _filled(context, batch)
    schemas = _schemas(context, batch) if filled else {}
    for name in due:
        topic = getattr(context.config.topics, name)
        if topic in filled:
            context.say(f"decoding {filled[topic]:,} records of {topic}")
            writes.frame(TYPED[name], typed(_log(context, batch, topic), name, schemas))
        else:
            writes.rows(TYPED[name])


def typed(log: DataFrame, table: str, schemas: Schemas) -> DataFrame:
    """The typed rows of log rows of one topic: one each, whatever they hold."""
    decoded = decode(log, contract(RECORDS[table]), schemas)
    broken = F.when(
        F.col("event").isNull(), F.array().cast("array<struct<code:string,detail:string>>")
    )
    checked = defects(RECORDS[table], F.col("event"), F.col("timestamp"))
    return decoded.select(
        "batch_id",
        F.lit(FIRST_ATTEMPT).alias("attempt"),
        F.struct(
            *("batch_id", "topic", "partition", "offset", "timestamp"),
            F.col("schema_ref").alias("schema"),
        ).alias("origin"),
        F.concat("decode_defects", broken.otherwise(checked)).alias("defects"),
        "event.*",
    )


def _log(context: Context, batch: Batch, topic: str | None = None) -> DataFrame:
    log = context.frame(LOG, batch).where(F.col("batch_id") == batch.id)
    return log if topic is None else log.where(F.col("topic") == topic)


def _filled(context: Context, batch: Batch) -> dict[str, int]:
    """How many records of each topic the batch landed, from the proofs."""
    counts: dict[str, int] = {}
    for row in context.rows(PROOFS, batch):
        if row["batch_id"] == batch.id and row["landed"]:
            counts[row["topic"]] = counts.get(row["topic"], 0) + row["landed"]
    return counts


def _schemas(context: Context, batch: Batch) -> Schemas:
    """The writer schema of every distinct reference in the batch, each looked up once."""
    refs = framed(_log(context, batch)).select("schema_ref").distinct().collect()
    found = {SchemaRef.parse(row["schema_ref"]) for row in refs if row["schema_ref"]}
    return SchemaSource(context.config.registry).resolve(found)


STAGE = Stage(
    "validate",
    "decode and check every record",
    (LOG, PROOFS),
    tuple(TYPED.values()),
    run,
    gate=refuse_loss,
)
