"""The replayer: what was begun is finished, then what is in quarantine is decoded again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config
from processor.lock import held
from processor.stages.base import NOTHING_ACCEPTED, Accepted, Context
from processor.stages.landing import refuse_unread
from processor.stages.pipeline import (
    PLAN,
    STAGES,
    Planned,
    begun,
    planned_ranges,
    preflight,
    stored_batch,
)
from processor.stages.quarantine import standing
from processor.stages.replay import changed
from processor.stages.runner import Taken, through
from processor.stages.selection import Selection
from processor.tables import BATCHES
from processor.version import code_version
from processor.warehouse import Warehouse


@dataclass(frozen=True)
class Replayed:
    """What a replay did: the batch that it finished first, if any, and its own, if any."""

    finished: Taken | None
    taken: Taken | None


def replayed(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    selection: Selection,
    accepted: Accepted = NOTHING_ACCEPTED,
) -> Replayed:
    """Decodes a selection of the quarantine again, as a batch; without news there is no batch.

    Raises:
        ConfigError: the selection names a topic that no batch has read.
        BatchHeld: another run is at work on the warehouse.
        ProcessorError: a stage failed; the next run or replay goes on where it stopped.
    """
    preflight(config)
    warehouse = Warehouse(config.warehouse)
    read = {each.topic for _, each in planned_ranges(warehouse)}
    for span in selection.spans:
        refuse_unread("topic", span.topic, read)
    run_id = str(uuid.uuid4())
    with held(config.warehouse, config.batch.lease):
        context = Context(config, warehouse, run_id, start_spark, say, accepted)
        unfinished = begun(context.warehouse)
        finished = through(context, unfinished) if unfinished else None
        batch = _batch(context, selection)
        news = batch is not None and any(not rows.isEmpty() for _, rows in changed(context, batch))
        if batch is None or not news:
            return Replayed(finished, None)
        planned = Planned(batch, stored=False, pending=STAGES)
        return Replayed(finished, through(context, planned))


def _batch(context: Context, selection: Selection) -> Batch | None:
    """The batch that a replay would be: nothing is landed, and the cut stays where it is.

    None where nothing is in quarantine.
    """
    last = context.warehouse.committed(BATCHES, PLAN)
    if not last or not standing(context.warehouse)["defective"]:
        return None
    before = stored_batch(context.warehouse, last)
    return Batch(
        id=last + 1,
        ranges=tuple(replace(each, start=each.end, first_seen=False) for each in before.ranges),
        planned_at=datetime.now(UTC),
        run_id=context.run_id,
        config_hash=context.config.hash,
        code_version=code_version(),
        cut_time=before.cut_time,
        replay=selection.text,
    )
