"""Batches: exact cuts of the input topics, decided before the first byte is read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from processor.errors import LossDetected


class Partition(NamedTuple):
    """A partition of a topic, by name."""

    topic: str
    partition: int


@dataclass(frozen=True)
class Bounds:
    """What the broker holds of one partition now: `[log_start, end)` may be read.

    `end` is the last stable offset: nothing before it belongs to an open transaction.
    """

    topic_id: str
    log_start: int
    end: int
    high_watermark: int


@dataclass(frozen=True)
class Range:
    """`[start, end)` of one partition: its part of a batch.

    `first_seen`: no batch before knew this partition of this topic. `left_over`: offsets that the
    cut reached, and that a limit on rows left to the next batch.
    """

    topic: str
    topic_id: str
    partition: int
    start: int
    end: int
    log_start: int
    high_watermark: int
    first_seen: bool = False
    left_over: int = 0

    @property
    def expected(self) -> int:
        """How many offsets the range spans."""
        return self.end - self.start


@dataclass(frozen=True)
class Batch:
    """Batch `id`: ranges that begin where those of batch `id - 1` end.

    `replay` names the quarantined rows that the batch decodes again; None where it does not.
    """

    id: int
    ranges: tuple[Range, ...]
    planned_at: datetime
    run_id: str
    config_hash: str
    code_version: str
    cut_time: datetime | None = None
    replay: str | None = None

    @property
    def expected(self) -> int:
        """How many offsets the whole batch spans."""
        return sum(each.expected for each in self.ranges)

    @property
    def partial(self) -> bool:
        """Whether a later batch takes the rest of the same cut."""
        return any(each.left_over for each in self.ranges)


@dataclass(frozen=True)
class Proof:
    """The account of a range: `expected = landed + control + aborted + compacted + lost`."""

    range: Range
    landed: int
    control: int = 0
    aborted: int = 0
    compacted: int = 0
    lost: int = 0

    @property
    def unexplained(self) -> int:
        """Offsets that no cause accounts for; negative when more landed than the range spans."""
        explained = self.landed + self.control + self.aborted + self.compacted + self.lost
        return self.range.expected - explained


def next_ranges(
    previous: Mapping[Partition, Range], bounds: Mapping[Partition, Bounds]
) -> tuple[Range, ...]:
    """The next batch's ranges, in order of topic and partition; all empty when nothing is new.

    A partition begins where the last batch ended it, a new one at its first record.

    Raises:
        LossDetected: a partition vanished, its topic was made anew, or retention overtook it.
    """
    for gone in sorted(previous.keys() - bounds.keys()):
        raise LossDetected(
            f"{gone.topic}/{gone.partition} was read to offset {previous[gone].end} and is gone",
            remedy="restore the topic, or start a new warehouse",
        )
    return tuple(_next_range(p, previous.get(p), bounds[p]) for p in sorted(bounds))


def _next_range(partition: Partition, previous: Range | None, now: Bounds) -> Range:
    start = previous.end if previous else now.log_start
    where = f"{partition.topic}/{partition.partition}"
    if previous and previous.topic_id != now.topic_id:
        raise LossDetected(
            f"{partition.topic} was made anew: its id was {previous.topic_id}, is {now.topic_id}",
            remedy="restore the topic, or start a new warehouse",
        )
    if start < now.log_start:
        raise LossDetected(
            f"{where}: offsets {start} to {now.log_start - 1} were deleted before they were read",
            remedy="restore them, or start a new warehouse; run more often than retention deletes",
        )
    if now.end < start:
        raise LossDetected(
            f"{where} ends at {now.end}, before offset {start} where the last batch ended it",
            remedy="if a leader just changed, run again; else records were lost on the broker",
        )
    return Range(
        partition.topic,
        now.topic_id,
        partition.partition,
        start,
        now.end,
        now.log_start,
        now.high_watermark,
    )


def settle(proofs: Iterable[Proof]) -> tuple[Proof, ...]:
    """The proofs, if each account adds up.

    Raises:
        LossDetected: a range holds records that nothing explains, or too few; names every one.
    """
    settled = tuple(proofs)
    open_accounts = [proof for proof in settled if proof.unexplained]
    if open_accounts:
        named = ", ".join(
            f"{p.range.topic}/{p.range.partition} [{p.range.start}, {p.range.end}):"
            f" {p.unexplained} of {p.range.expected} unexplained"
            for p in open_accounts
        )
        raise LossDetected(named, remedy="do not go on; compare the log table with the topic")
    return settled


def watermark(
    previous: datetime | None,
    timestamps: Sequence[datetime],
    planned_at: datetime,
    tolerance: timedelta,
    cut_time: datetime | None = None,
) -> datetime | None:
    """How far time has come, as of a batch; it never decreases.

    `timestamps` are the largest believable record timestamp of each range: those later than
    `planned_at + tolerance` come from broken clocks and do not count. None before any record.
    """
    if cut_time is not None:
        candidates = [cut_time]
    else:
        candidates = [stamp for stamp in timestamps if stamp <= planned_at + tolerance]
    return max([*candidates, *([previous] if previous else [])], default=None)
