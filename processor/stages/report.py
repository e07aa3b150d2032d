"""report: the page and the JSON that people read, from tables alone."""

from __future__ import annotations

from processor.batches import Batch
from processor.report.write import write
from processor.stages.base import Context, Stage, Writes
from processor.stages.gather import SMALL, gathered
from processor.tables import RUNS, TYPED


def run(context: Context, batch: Batch) -> None:
    """Writes the report, then an empty commit that says so: a crash between writes it again."""
    writes = Writes("report", context, batch)
    if not writes.pending(RUNS):
        return
    told = gathered(context.config, context.warehouse, batch.id)
    path = write(context.config.report, told.document, told.events)
    context.say(f"report: {path}")
    writes.rows(RUNS)


STAGE = Stage(
    "report",
    "write the page and the JSON that people read",
    (*SMALL, *TYPED.values()),
    (RUNS,),
    run,
)
