"""validate: every log row becomes one typed row, good or bad, with the reasons beside it."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import DataFrame

from processor.avro.framing import SchemaRef
from processor.batches import Batch
from processor.stages import replay
from processor.stages.base import Context, Stage, Writes
from processor.stages.schemas import resolved
from processor.stages.snapshot import refuse_loss
from processor.stages.typed import typed
from processor.tables import LOG, PROOFS, SCHEMAS, TYPED


def run(context: Context, batch: Batch) -> None:
    """Decodes what the batch landed, or what it replays, one table of events after the other."""
    writes = Writes("validate", context, batch)
    due = [name for name in TYPED if writes.pending(TYPED[name])]
    if not due:
        return
    rows = dict(_landed(context, batch) if batch.replay is None else replay.changed(context, batch))
    for name in due:
        if name in rows:
            context.say(f"decoding {name}")
            writes.frame(TYPED[name], rows[name])
        else:
            writes.rows(TYPED[name])


def _landed(context: Context, batch: Batch) -> Iterator[tuple[str, DataFrame]]:
    """The typed rows of everything that the batch landed, by table."""
    proofs = [row for row in context.rows(PROOFS, batch) if row["batch_id"] == batch.id]
    filled = {row["topic"] for row in proofs if row["landed"]}
    refs = {SchemaRef.parse(ref) for row in proofs for ref in row["schema_refs"]}
    schemas = resolved(context, batch, refs)
    for name, topic in context.config.topics.model_dump().items():
        if topic in filled:
            log = context.landed(batch, [batch.id], topic)
            yield name, typed(log, name, schemas, largest=context.config.limits.record_bytes)


STAGE = Stage(
    "validate",
    "decode and check every record",
    (LOG, PROOFS, SCHEMAS),
    tuple(TYPED.values()),
    run,
    gate=refuse_loss,
)
