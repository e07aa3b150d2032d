"""snapshot: the batch's ranges, as they are on Kafka, into the log; then the proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from processor.batches import Batch, Partition, Proof, Range, left_of, settle, watermark
from processor.errors import LossDetected
from processor.faults import explained
from processor.kafka.offsets import Broker
from processor.kafka.source import read
from processor.stages.account import NOTHING, Landed, accounts, landed, part
from processor.stages.base import Context, Stage, Writes, watermarks
from processor.stages.parts import stamps
from processor.tables import BATCHES, LOG, LOSSES, PROOFS

MOST_READS = 5  # times that retention may overtake the reading before a person has to look


def run(context: Context, batch: Batch) -> None:
    """Lands the batch in one commit, and accounts for every offset of it.

    Raises:
        LossDetected: an account does not add up.
    """
    writes = Writes("snapshot", context, batch)
    if writes.pending(LOG):
        _land(context, batch, writes)
    if writes.pending(PROOFS):
        _refuse_others(context, batch)
        writes.rows(PROOFS, _proof_rows(context, batch))


def _land(context: Context, batch: Batch, writes: Writes) -> None:
    """Reads what Kafka still holds of the ranges; what it does not is stored as lost, first."""
    wanted = [each for each in batch.ranges if each.expected]
    for attempt in range(1, MOST_READS + 1):
        left = _left(context, batch, wanted)
        if not left:
            writes.rows(LOG)
            return
        context.say(f"landing {sum(r.expected for r in left):,} offsets of {len(left)} partitions")
        frame = read(context.spark, context.config.kafka, left)
        try:
            writes.frame(LOG, frame.withColumn("batch_id", F.lit(batch.id)))
        except (Py4JError, PySparkException) as raised:
            if attempt == MOST_READS or not isinstance(explained(raised), LossDetected):
                raise
            context.say("Kafka deleted records while they were read; asking again what is left")
        else:
            return


def _left(context: Context, batch: Batch, wanted: Iterable[Range]) -> list[Range]:
    """What can be read now; what cannot any more is appended to `losses`."""
    listed = {part(each): each for each in wanted}
    topics = {one.topic for one in listed}
    # What is not known for a moment is no loss.
    now = Broker(context.config.kafka).bounds_after(topics, listed) if listed else {}
    known = lost(context, batch)
    pairs = [(each, left_of(each, now.get(one))) for one, each in listed.items()]
    news = [
        _loss(context, batch, each, left)
        for each, left in pairs
        if left.start - each.start > known.get(part(each), 0)
    ]
    if news:
        context.warehouse.append(LOSSES, news)
    return [left for _, left in pairs if left.expected]


def _loss(context: Context, batch: Batch, each: Range, left: Range) -> dict[str, Any]:
    return {
        "batch_id": batch.id,
        "topic": each.topic,
        "topic_id": each.topic_id,
        "partition": each.partition,
        "start_offset": each.start,
        "end_offset": left.start,
        "found_at": datetime.now(UTC),
        "run_id": context.run_id,
    }


def _refuse_others(context: Context, batch: Batch) -> None:
    """A topic that was made anew since it was looked at may be what was read.

    Raises:
        LossDetected: names it, unless topics made anew are accepted.
    """
    if context.accepted.new_topic or not context.warehouse.files(LOG, batch.id)[0]:
        return
    now = Broker(context.config.kafka).bounds({each.topic for each in batch.ranges})
    gone = lost(context, batch)
    for each in batch.ranges:
        held = now.get(part(each))
        read = each.expected > gone.get(part(each), 0)
        if read and held is not None and held.topic_id != each.topic_id:
            raise LossDetected(
                f"{each.topic} was made anew while it was read or just after: records of both may"
                f" stand in batch {batch.id}",
                remedy="compare with the producers; `bfp run --accept-new-topic` goes on with them,"
                " else start a new warehouse",
            )


def lost(context: Context, batch: Batch) -> dict[Partition, int]:
    """How many offsets at the start of each range Kafka had deleted before they were read."""
    rows = context.warehouse.rows(LOSSES, where=[("batch_id", "=", batch.id)]).to_pylist()
    found: dict[Partition, int] = {}
    for row in rows:
        one = Partition(row["topic"], row["partition"])
        found[one] = max(found.get(one, 0), row["end_offset"] - row["start_offset"])
    return found


def refuse_loss(context: Context, batch: Batch) -> None:
    """Stops a batch that lost records, unless whoever started the run accepts that.

    Raises:
        LossDetected: names each range that is gone.
    """
    rows = context.warehouse.rows(PROOFS, where=[("batch_id", "=", batch.id)]).to_pylist()
    missing = {Partition(r["topic"], r["partition"]): r["lost"] for r in rows if r["lost"]}
    if not missing or context.accepted.loss:
        return
    gone = lost(context, batch)
    named = ", ".join(
        _gone(each, gone[part(each)])
        if part(each) in gone
        else f"{each.topic}/{each.partition}: {missing[part(each)]} offsets"
        for each in batch.ranges
        if part(each) in missing
    )
    raise LossDetected(
        f"deleted before they were read: {named}",
        remedy="restore them from elsewhere, or go on without them: `bfp run --accept-loss`."
        " The rest of the batch is in the log; run more often than retention deletes",
    )


def _gone(each: Range, count: int) -> str:
    return f"{each.topic}/{each.partition} [{each.start}, {each.start + count})"


def _landed(context: Context, batch: Batch) -> dict[Partition, Landed]:
    if not context.warehouse.files(LOG, batch.id)[0]:
        return {}
    limit = batch.planned_at + context.config.batch.watermark_tolerance
    return landed(context.landed(batch, [batch.id]), limit)


def _proof_rows(context: Context, batch: Batch) -> list[Mapping[str, Any]]:
    found = _landed(context, batch)
    proofs = settle(
        accounts(context, batch, found, lost(context, batch)),
        accept_loss=context.accepted.loss,
    )
    earlier = watermarks(context)
    reached = watermark(
        max((stamp for n, stamp in earlier.items() if n < batch.id), default=None),
        stamps(context, batch, [each.latest for each in found.values() if each.latest]),
        batch.planned_at,
        context.config.batch.watermark_tolerance,
        None if batch.partial else batch.cut_time,
    )
    return [_proof_row(batch, proof, found, reached) for proof in proofs]


def _proof_row(
    batch: Batch, proof: Proof, found: Mapping[Partition, Landed], reached: datetime | None
) -> Mapping[str, Any]:
    held = found.get(part(proof.range), NOTHING)
    return {
        "batch_id": batch.id,
        "topic": proof.range.topic,
        "partition": proof.range.partition,
        "expected": proof.range.expected,
        "landed": proof.landed,
        "control": proof.control,
        "aborted": proof.aborted,
        "compacted": proof.compacted,
        "lost": proof.lost,
        "digest": held.digest,
        "schema_refs": sorted(str(ref) for ref in held.refs),
        "watermark": reached,
    }


STAGE = Stage("snapshot", "land the ranges, prove them complete", (BATCHES,), (LOG, PROOFS), run)
