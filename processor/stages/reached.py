"""Whether the watermark of each batch is the one that the records of the log make."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.config import Config
from processor.table import struct
from processor.tables import BATCHES
from processor.warehouse import Warehouse

NEVER = datetime.min.replace(tzinfo=UTC)
"""The watermark before any record."""
FAR = datetime(9000, 1, 1, tzinfo=UTC)
"""Beyond what any record's clock means; Python's times end soon after it."""
_ASKED = struct(
    decided=T.LongType(), part=T.LongType(), planned=T.TimestampType(), limit=T.TimestampType()
)


class Cut(NamedTuple):
    """A batch as far as its watermark goes; `parts`: the batches whose records may move it."""

    batch: int
    planned_at: datetime
    cut_time: datetime | None
    config_hash: str
    parts: tuple[int, ...]


class Span(NamedTuple):
    """The least and the most that a batch may have moved time to."""

    least: datetime
    most: datetime


def moved(
    config: Config,
    warehouse: Warehouse,
    log: DataFrame,
    stored: Mapping[int, Iterable[datetime | None]],
    intact: Container[int],
) -> Iterator[tuple[int, str]]:
    """Batches whose `stored` watermarks are not those of the log, and what is wrong with them.

    Only those are judged of which all that they are made of is `intact`. How much later than its
    plan a record may be is configured, and not kept: where the configuration is another today,
    records from after the plan may have counted or not.
    """
    cuts = _cuts(warehouse)
    spans = _spans(config, log, cuts)
    before: datetime | None = NEVER  # None: not known
    for cut in cuts:
        if cut.batch not in stored:
            before = None
            continue
        told = {mark or NEVER for mark in stored[cut.batch]}
        if before is None or not all(part in intact for part in cut.parts):
            before = max(told)
            continue
        span = spans.get(cut.batch, Span(NEVER, NEVER))
        least, most = max(before, span.least), max(before, span.most)
        for mark in sorted(told):
            if not least <= mark <= most:
                ends = _told(least) if least == most else f"{_told(least)} to {_told(most)}"
                yield cut.batch, f"its watermark is {_told(mark)}, its records make it {ends}"
        before = min(max(least, *told), most)


def _told(mark: datetime) -> str:
    return "none" if mark == NEVER else mark.astimezone(UTC).isoformat()


def _cuts(warehouse: Warehouse) -> list[Cut]:
    """Every batch that was planned, in order; `parts` are those of `parts.parts_before`."""
    rows = warehouse.rows(BATCHES).to_pylist()
    plans = {row["batch_id"]: row for row in rows}
    divided = {row["batch_id"] for row in rows if row["left_over"]}
    cuts: list[Cut] = []
    first: tuple[int, ...] = ()
    for number, row in sorted(plans.items()):
        partial = number in divided
        moment = None if partial else row["cut_time"]
        parts = () if partial or moment is not None else (number, *first)
        cuts.append(Cut(number, row["planned_at"], moment, row["config_hash"], parts))
        if row["replay"] is None:
            first = (number, *first) if partial else ()
    return cuts


def _spans(config: Config, log: DataFrame, cuts: Iterable[Cut]) -> dict[int, Span]:
    """What the moment of each cut, or its records, move time to."""
    listed = list(cuts)
    spans = {each.batch: Span(each.cut_time, each.cut_time) for each in listed if each.cut_time}
    tolerance = config.batch.watermark_tolerance
    asked = [
        (each.batch, part, each.planned_at, each.planned_at + tolerance)
        for each in listed
        for part in each.parts
    ]
    if not asked:
        return spans
    hashes = {each.batch: each.config_hash for each in listed}
    at, pairs = F.col("timestamp"), log.sparkSession.createDataFrame(asked, _ASKED)
    found = (
        log.select("batch_id", "timestamp")
        .join(F.broadcast(pairs), F.col("batch_id") == F.col("part"))
        .groupBy("decided")
        .agg(
            F.max(F.when(at <= F.col("planned"), at)).alias("early"),
            F.max(F.when(at <= F.col("limit"), at)).alias("believed"),
            F.least(F.max(at), F.lit(FAR)).alias("last"),
        )
    )
    for row in found.collect():
        same = hashes[row["decided"]] == config.hash
        ends = ("believed", "believed") if same else ("early", "last")
        spans[row["decided"]] = Span(*(_moment(row[end]) for end in ends))
    return spans


def _moment(found: datetime | None) -> datetime:
    return found.astimezone(UTC) if found else NEVER
