"""Batches: exact cuts of the input topics, decided before the first byte is read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

    def until(self, end: int) -> Range:
        """The range from the same start to another end."""
        return replace(self, end=end)


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


def ends(planned: Iterable[Range]) -> dict[Partition, Range]:
    """The last range of each partition of each topic's newest epoch; `planned` in order of batch.

    A topic that was made anew is another topic: what was read of the old one is not continued.
    """
    listed = tuple(planned)
    newest = {each.topic: each.topic_id for each in listed}
    return {
        Partition(each.topic, each.partition): each
        for each in listed
        if each.topic_id == newest[each.topic]
    }


def next_ranges(
    previous: Mapping[Partition, Range],
    bounds: Mapping[Partition, Bounds],
    *,
    accept_new_topic: bool = False,
) -> tuple[Range, ...]:
    """The next batch's ranges, in order of topic and partition; all empty when nothing is new.

    A partition begins where the last batch ended it, a new one at its first record, and so does
    every partition of a topic that was made anew, if that is accepted. Records that retention
    deleted before they were read stay in the range: its account names them as lost.

    Raises:
        LossDetected: a partition vanished, ends before it was read to, or its topic was made anew.
    """
    ids = {partition.topic: now.topic_id for partition, now in bounds.items()}
    continued = {p: r for p, r in previous.items() if ids.get(p.topic, r.topic_id) == r.topic_id}
    if not accept_new_topic:
        for partition in sorted(previous.keys() - continued.keys()):
            raise _made_anew(previous[partition], ids[partition.topic])
    for gone in sorted(continued.keys() - bounds.keys()):
        raise LossDetected(
            f"{gone.topic}/{gone.partition} was read to offset {previous[gone].end} and is gone",
            remedy="restore the topic, or start a new warehouse",
        )
    return tuple(_next_range(p, continued.get(p), bounds[p]) for p in sorted(bounds))


def _made_anew(read: Range, topic_id: str) -> LossDetected:
    return LossDetected(
        f"{read.topic} was made anew: its id was {read.topic_id}, is {topic_id};"
        f" {read.topic}/{read.partition} was read to offset {read.end}",
        remedy="restore the topic, or run once with --accept-new-topic to read the new one"
        " from its beginning",
    )


def _next_range(partition: Partition, previous: Range | None, now: Bounds) -> Range:
    start = previous.end if previous else now.log_start
    if now.end < start:
        raise LossDetected(
            f"{partition.topic}/{partition.partition} ends at {now.end}, before offset {start}"
            " where the last batch ended it",
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
        first_seen=previous is None,
    )


def broken_chain(planned: Iterable[Range]) -> Iterator[tuple[Range, str]]:
    """Ranges that do not begin where the one before them ended; `planned` in order of batch."""
    last: dict[tuple[str, int], Range] = {}
    for each in planned:
        before = last.get((each.topic_id, each.partition))
        if before is not None and each.start != before.end:
            yield each, f"it begins at {each.start}, the batch before ended at {before.end}"
        last[each.topic_id, each.partition] = each


def left_of(each: Range, now: Bounds | None) -> Range:
    """What Kafka still holds of a range: what begins at its log start, if the topic is the same.

    The offsets before that are lost; all are where the topic is gone or was made anew.
    """
    same = now is not None and now.topic_id == each.topic_id
    start = max(each.start, now.log_start) if now is not None and same else each.end
    return replace(each, start=min(start, each.end))


def settle(proofs: Iterable[Proof], *, accept_loss: bool = False) -> tuple[Proof, ...]:
    """The proofs, if each account adds up; what nothing explains is lost, if that is accepted.

    Raises:
        LossDetected: a range holds records that nothing explains, or too few; names every one.
    """
    settled = tuple(proofs)
    if accept_loss:
        settled = tuple(replace(p, lost=p.lost + max(0, p.unexplained)) for p in settled)
    open_accounts = [proof for proof in settled if proof.unexplained]
    if open_accounts:
        named = ", ".join(
            f"{p.range.topic}/{p.range.partition} [{p.range.start}, {p.range.end}):"
            f" {p.unexplained} of {p.range.expected} unexplained"
            for p in open_accounts
        )
        raise LossDetected(
            named,
            remedy="compare the log table with the topic (`bfp verify --kafka`); --accept-loss"
            " goes on, and keeps what is missing as lost",
        )
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
