"""Cuts: up to which offset a batch reads each partition, and what holds it back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from processor.batches import Bounds, Partition, Range

FIRST_DELAY, GROWTH = 0.1, 2.0
"""Seconds before the broker is asked again, and how they grow."""


def backoff(limit: float) -> Iterator[float]:
    """Seconds to wait between questions, longer each time; together just `limit`."""
    delay, left = FIRST_DELAY, limit
    while left > 0:
        yield min(delay, left)
        left -= delay
        delay *= GROWTH


def backward(
    read: Mapping[Partition, Range], bounds: Mapping[Partition, Bounds]
) -> tuple[Partition, ...]:
    """Partitions whose answer cannot stand: none, or it ends before what was read or its start.

    A leader that was just elected may answer so for a moment, and a broker that was just started
    may know no topic yet. A topic that was made anew is not among them: its offsets mean other
    records.
    """
    ids = {p.topic: now.topic_id for p, now in bounds.items()}
    unknown = (p for p, each in read.items() if p not in bounds and _is_of(each, ids))
    return (*(p for p, now in bounds.items() if _is_backward(read.get(p), now)), *unknown)


def _is_of(each: Range, ids: Mapping[str, str]) -> bool:
    """Whether a range is of the topic that there is now, as far as anybody knows."""
    return ids.get(each.topic, each.topic_id) == each.topic_id


def _is_backward(read: Range | None, now: Bounds) -> bool:
    if now.end < now.log_start:
        return True
    return read is not None and read.topic_id == now.topic_id and now.end < whole(read).end


def whole(each: Range) -> Range:
    """The range with all that its cut reached, also what a limit on rows left over."""
    return replace(each, end=each.end + each.left_over, left_over=0)


def targets(
    bounds: Mapping[Partition, Bounds], at: Mapping[Partition, int | None]
) -> dict[Partition, int]:
    """Where the cut would be if no transaction were open, by partition.

    That is the first offset at its time (`at`: None where there is none), else the end.
    """
    return {p: _target(now.high_watermark, at.get(p)) for p, now in bounds.items()}


def _target(high_watermark: int, at: int | None) -> int:
    return high_watermark if at is None else min(at, high_watermark)


def held_back(
    bounds: Mapping[Partition, Bounds], wanted: Mapping[Partition, int]
) -> dict[Partition, int]:
    """By how many offsets open transactions keep the cut from where it should be."""
    short = {p: wanted[p] - now.end for p, now in bounds.items() if p in wanted}
    return {p: missing for p, missing in short.items() if missing > 0}


def cut(
    read: Mapping[Partition, Range],
    bounds: Mapping[Partition, Bounds],
    wanted: Mapping[Partition, int],
) -> dict[Partition, Bounds]:
    """The bounds, each ending where the cut does: as `wanted`, as far as it may be read.

    What was read beyond stays read: the cut then takes nothing. An answer that ends before what
    was read is left as it is, for who continues the ranges to refuse.
    """
    return {p: replace(now, end=_end(read.get(p), now, wanted[p])) for p, now in bounds.items()}


def _end(read: Range | None, now: Bounds, wanted: int) -> int:
    continued = read is not None and read.topic_id == now.topic_id
    floor = read.end if read is not None and continued else now.log_start
    return min(now.end, max(floor, wanted))


def rest(last: Iterable[Range], bounds: Mapping[Partition, Bounds]) -> tuple[Range, ...]:
    """What a limit on rows left of the last batch's cut, in its order; none where all is taken.

    Of a topic that was made anew nothing is left.
    """
    held = ((each, bounds.get(Partition(each.topic, each.partition))) for each in last)
    left = tuple(
        replace(
            each,
            start=each.end,
            end=whole(each).end,
            log_start=now.log_start,
            high_watermark=now.high_watermark,
            first_seen=False,
            left_over=0,
        )
        for each, now in held
        if now is not None and now.topic_id == each.topic_id
    )
    return left if any(each.expected for each in left) else ()


def split(ranges: Iterable[Range], max_rows: int | None) -> tuple[Range, ...]:
    """The first part of a cut: together at most `max_rows` offsets, what is beyond left over.

    Each range gives in proportion to its size, so that none lags behind the others, and at least
    one offset where there are enough for that.
    """
    listed = tuple(ranges)
    if max_rows is None or sum(each.expected for each in listed) <= max_rows:
        return listed
    parts = shares([each.expected for each in listed], max_rows)
    return tuple(
        replace(each, end=each.start + part, left_over=each.expected - part)
        for each, part in zip(listed, parts, strict=True)
    )


def shares(sizes: list[int], total: int) -> list[int]:
    """`total`, which is less than all sizes together, divided in proportion to them.

    Each size above 0 gets 1 first, the largest before the others; the rest goes by the method of
    largest remainders, the first of equals winning. Exact: integers alone.
    """
    first = sorted((n for n, size in enumerate(sizes) if size), key=lambda n: (-sizes[n], n))
    found = [0] * len(sizes)
    for n in first[:total]:
        found[n] = 1
    spare = total - len(first)
    if spare <= 0:
        return found
    beyond = sum(sizes) - len(first)
    for n in first:
        found[n] += (sizes[n] - 1) * spare // beyond
    by_remainder = sorted(first, key=lambda n: (-((sizes[n] - 1) * spare % beyond), n))
    for n in by_remainder[: total - sum(found)]:
        found[n] += 1
    return found
