"""Batches are exact cuts: laws of planning, proving and of the watermark."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.batches import (
    Batch,
    Bounds,
    Partition,
    Proof,
    Range,
    next_ranges,
    settle,
    watermark,
)
from processor.errors import LossDetected

NOW = datetime(2024, 1, 1, tzinfo=UTC)
TOLERANCE = timedelta(minutes=5)

partitions = st.builds(Partition, st.sampled_from(["a", "b", "c"]), st.integers(0, 3))
counts = st.integers(0, 50)


@st.composite
def growing(draw: st.DrawFn) -> list[dict[Partition, Bounds]]:
    """What a sound broker shows from batch to batch: partitions come, ends only grow."""
    now: dict[Partition, Bounds] = {}
    seen = []
    for _ in range(draw(st.integers(1, 5))):
        for one in draw(st.sets(partitions, max_size=4)):
            start = draw(counts)
            now.setdefault(one, Bounds(f"id-{one.topic}", start, start, start))
        for one, held in list(now.items()):
            read = held.end
            end = read + draw(counts)
            high = end + draw(counts)
            start = draw(st.integers(held.log_start, read))  # retention deletes what was read
            now[one] = Bounds(held.topic_id, start, end, high)
        seen.append(dict(now))
    return seen


def by_partition(ranges: tuple[Range, ...]) -> dict[Partition, Range]:
    return {Partition(each.topic, each.partition): each for each in ranges}


@given(growing())
def test_batches_continue_and_together_span_everything_once(
    seen: list[dict[Partition, Bounds]],
) -> None:
    previous: dict[Partition, Range] = {}
    read: dict[Partition, list[int]] = {}
    for bounds in seen:
        ranges = next_ranges(previous, bounds)
        assert [(r.topic, r.partition) for r in ranges] == sorted(bounds)
        for one, each in by_partition(ranges).items():
            now = bounds[one]
            assert (each.end, each.topic_id, each.log_start, each.high_watermark) == (
                *(now.end, now.topic_id, now.log_start, now.high_watermark),
            )
            assert each.expected >= 0
            read.setdefault(one, []).extend(range(each.start, each.end))
        previous = by_partition(ranges)
    for one, offsets in read.items():
        assert offsets == list(range(offsets[0], seen[-1][one].end)) if offsets else True


@given(growing())
def test_asking_again_finds_nothing_new(seen: list[dict[Partition, Bounds]]) -> None:
    previous: dict[Partition, Range] = {}
    for bounds in seen:
        previous = by_partition(next_ranges(previous, bounds))
    again = next_ranges(previous, seen[-1])
    assert all(each.expected == 0 for each in again)
    assert Batch(1, again, NOW, "run", "hash", "code").expected == 0


ONE = Partition("orders", 2)
BEFORE = {ONE: Range("orders", "id", 2, 10, 20, 5, 25)}
HELD = Bounds("id", 5, 30, 31)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, r"orders/2 was read to offset 20 and is gone"),
        ({ONE: replace(HELD, topic_id="new")}, r"made anew: its id was id, is new"),
        (
            {Partition("orders", 0): replace(HELD, topic_id="new")},
            r"orders/2 was read to offset 20",
        ),
        ({ONE: replace(HELD, end=19)}, r"ends at 19, before offset 20"),
    ],
    ids=["vanished", "made anew", "made anew with fewer partitions", "backward"],
)
def test_what_a_broker_lost_is_said_with_offsets(now: dict[Partition, Bounds], said: str) -> None:
    with pytest.raises(LossDetected, match=said):
        next_ranges(BEFORE, now)


def test_retention_that_stops_where_the_last_batch_did_loses_nothing() -> None:
    (only,) = next_ranges(BEFORE, {ONE: replace(HELD, log_start=20)})
    assert (only.start, only.end) == (20, 30)
    (only,) = next_ranges(BEFORE, {ONE: replace(HELD, end=20)})
    assert (only.start, only.end) == (20, 20)


def test_a_new_partition_begins_at_its_first_record_that_is_left() -> None:
    new = Partition("orders", 3)
    _, added = next_ranges(BEFORE, {ONE: HELD, new: Bounds("id", 7, 9, 9)})
    assert (added.partition, added.start, added.end) == (3, 7, 9)


def test_a_proof_that_adds_up_is_settled_and_any_other_is_named() -> None:
    span = Range("t", "id", 0, 100, 110, 0, 110)
    whole = Proof(span, landed=4, control=1, aborted=2, compacted=2, lost=1)
    assert settle([whole]) == (whole,)
    short = replace(whole, landed=3, range=replace(span, partition=1))
    long = replace(whole, landed=6, range=replace(span, partition=2))
    assert (whole.unexplained, short.unexplained, long.unexplained) == (0, 1, -2)
    with pytest.raises(LossDetected) as found:
        settle([whole, short, long])
    assert "t/1 [100, 110): 1 of 10 unexplained" in found.value.what
    assert "t/2 [100, 110): -2 of 10 unexplained" in found.value.what
    assert "t/0" not in found.value.what


@given(st.tuples(*[st.integers(0, 9)] * 5), st.integers(-5, 5))
def test_only_an_exact_account_is_settled(causes: tuple[int, ...], wrong: int) -> None:
    span = Range("t", "id", 0, 0, sum(causes) + wrong, 0, 99)
    proof = Proof(span, *causes)
    if wrong:
        with pytest.raises(LossDetected):
            settle([proof])
    else:
        assert settle([proof]) == (proof,)


stamps = st.lists(
    st.integers(-1000, 1000).map(lambda minutes: NOW + timedelta(minutes=minutes)), max_size=4
)


@given(st.lists(st.tuples(stamps, st.booleans()), min_size=1, max_size=6))
def test_the_watermark_never_decreases_and_is_never_beyond_the_tolerance(
    batches: list[tuple[list[datetime], bool]],
) -> None:
    reached: datetime | None = None
    for times, cut in batches:
        now = watermark(reached, times, NOW, TOLERANCE, NOW if cut else None)
        if reached is not None:
            assert now is not None
            assert now >= reached
        if now is not None:
            assert now <= NOW + TOLERANCE
        believed = [time for time in times if time <= NOW + TOLERANCE]
        if believed and not cut:
            assert now is not None
            assert now >= max(believed)
        reached = now


def test_a_broken_clock_does_not_move_the_watermark() -> None:
    good, edge = NOW - timedelta(hours=1), NOW + TOLERANCE
    ahead = edge + timedelta(microseconds=1)
    assert watermark(None, [], NOW, TOLERANCE) is None
    assert watermark(None, [ahead], NOW, TOLERANCE) is None
    assert watermark(None, [good, ahead], NOW, TOLERANCE) == good
    assert watermark(None, [good, edge], NOW, TOLERANCE) == edge
    assert watermark(NOW, [good, ahead], NOW, TOLERANCE) == NOW
    assert watermark(good, [NOW], NOW, TOLERANCE, cut_time=NOW - TOLERANCE) == NOW - TOLERANCE
    assert watermark(NOW, [], NOW, TOLERANCE, cut_time=good) == NOW
