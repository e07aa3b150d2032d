"""Cuts: laws of where a batch ends, of what is held back, and of how a backlog is divided."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.batches import Bounds, Partition, Range, next_ranges
from processor.cuts import (
    backoff,
    backward,
    cut,
    held_back,
    rest,
    shares,
    split,
    targets,
    whole,
)
from processor.errors import LossDetected
from processor.kafka.patience import asked

ONE = Partition("orders", 0)
sizes = st.lists(st.integers(0, 1000), min_size=1, max_size=8)


def bounds(end: int, high: int | None = None, start: int = 0, topic_id: str = "id") -> Bounds:
    return Bounds(topic_id, start, end, end if high is None else high)


def read_to(end: int, left_over: int = 0) -> Range:
    return Range("orders", "id", 0, 0, end, 0, end, left_over=left_over)


def ranges_of(lengths: list[int]) -> tuple[Range, ...]:
    return tuple(Range("t", "id", n, 7, 7 + each, 0, 5000) for n, each in enumerate(lengths))


@st.composite
def held(draw: st.DrawFn) -> tuple[Range, Bounds, int | None]:
    """A partition read to somewhere, what the broker holds, and the offset of a moment."""
    start = draw(st.integers(0, 20))
    read, stable, high = sorted(draw(st.integers(start, 60)) for _ in range(3))
    at = draw(st.none() | st.integers(start, 80))
    return read_to(read), Bounds("id", start, stable, high), at


@given(held())
def test_a_cut_ends_at_its_moment_or_at_the_last_stable_offset_and_takes_nothing_back(
    drawn: tuple[Range, Bounds, int | None],
) -> None:
    read, now, at = drawn
    wanted = targets({ONE: now}, {ONE: at})
    (each,) = next_ranges({ONE: read}, cut({ONE: read}, {ONE: now}, wanted))
    for offset in range(70):
        before_moment = offset < now.high_watermark and (at is None or offset < at)
        taken = read.end <= offset < now.end and before_moment
        assert (each.start <= offset < each.end) == taken
        missing = before_moment and offset >= now.end
        assert (now.end <= offset < now.end + held_back({ONE: now}, wanted).get(ONE, 0)) == missing


def test_a_partition_that_no_batch_read_begins_at_its_first_record_and_says_so() -> None:
    new = {ONE: bounds(9, start=4)}
    (each,) = next_ranges({}, cut({}, new, targets(new, {ONE: 4})))
    assert (each.start, each.end, each.first_seen) == (4, 4, True)
    (again,) = next_ranges({ONE: each}, new)
    assert (again.start, again.end, again.first_seen) == (4, 9, False)


@pytest.mark.parametrize(
    ("read", "now", "lagging"),
    [
        (None, bounds(5), False),
        (None, bounds(5, start=6), True),
        (read_to(5), bounds(5), False),
        (read_to(6), bounds(5), True),
        (read_to(5, left_over=1), bounds(5), True),
        (read_to(6), bounds(5, topic_id="another"), False),
    ],
)
def test_answers_that_cannot_stand(read: Range | None, now: Bounds, *, lagging: bool) -> None:
    known = {ONE: read} if read else {}
    assert backward(known, {ONE: now}) == ((ONE,) if lagging else ())


def test_a_partition_that_was_read_and_is_not_answered_cannot_stand() -> None:
    other = Partition("orders", 1)
    assert backward({ONE: read_to(5)}, {}) == (ONE,)
    assert backward({ONE: read_to(5)}, {other: bounds(5)}) == (ONE,)
    assert backward({ONE: read_to(5)}, {other: bounds(5, topic_id="another")}) == ()


def test_an_answer_that_stays_behind_is_not_clamped() -> None:
    behind = {ONE: bounds(5)}
    read = {ONE: read_to(6)}
    with pytest.raises(LossDetected, match="ends at 5, before offset 6"):
        next_ranges(read, cut(read, behind, targets(behind, {ONE: 9})))


def test_a_lagging_answer_is_asked_again_and_patience_ends() -> None:
    answers = iter([5, 5, 6, 7])
    waited: list[float] = []
    assert asked(lambda: next(answers), lambda n: n < 6, timedelta(seconds=9), waited.append) == 6
    assert waited == [0.1, 0.2]
    limit = timedelta(seconds=1)
    waited.clear()
    assert asked(lambda: 5, lambda n: n < 6, limit, waited.append) == 5
    assert sum(waited) == pytest.approx(1.0)


@given(st.floats(0, 1000))
def test_waits_grow_and_together_are_the_patience(limit: float) -> None:
    waits = list(backoff(limit))
    assert sum(waits) == pytest.approx(limit)
    assert waits[:-1] == sorted(waits[:-1])
    assert len(waits) < 20


@given(sizes, st.integers(1, 3000))
def test_a_part_is_in_proportion_and_no_partition_stands_still(
    lengths: list[int], limit: int
) -> None:
    cut_ranges = ranges_of(lengths)
    part = split(cut_ranges, limit)
    total, filled = sum(lengths), sum(1 for each in lengths if each)
    assert sum(each.expected for each in part) == min(total, limit)
    for before, after in zip(cut_ranges, part, strict=True):
        assert before.start == after.start
        assert whole(after) == before
        assert after.expected >= 0
        assert after.expected > 0 or not before.expected or limit < filled
        if limit >= filled:
            beyond = Fraction(min(limit, total) - filled, max(1, total - filled))
            ideal = min(1, before.expected) + max(0, before.expected - 1) * beyond
            assert abs(after.expected - ideal) < 1


@given(sizes, st.integers(20, 3000))
def test_parts_of_a_cut_follow_each_other_and_together_are_the_cut(
    lengths: list[int], limit: int
) -> None:
    cut_ranges = ranges_of(lengths)
    now = {Partition(each.topic, each.partition): bounds(5000) for each in cut_ranges}
    part = split(cut_ranges, limit)
    taken = [list(range(each.start, each.end)) for each in part]
    while left := rest(part, now):
        part = split(left, limit)
        assert 0 < sum(each.expected for each in part) <= limit
        for offsets, each in zip(taken, part, strict=True):
            offsets.extend(range(each.start, each.end))
    assert taken == [list(range(each.start, each.end)) for each in cut_ranges]


def test_shares_by_largest_remainder_are_those_of_the_textbook() -> None:
    assert shares([1, 1, 1000], 2) == [1, 0, 1]
    assert shares([0, 5, 5, 5], 4) == [0, 2, 1, 1]
    assert shares([11, 31, 61], 53) == [6, 16, 31]  # 1 each, then 50 of 100 by 10, 30 and 60
    assert shares([11, 31, 61], 54) == [6, 16, 32]  # 5.1, 15.3 and 30.6: the largest remainder


def test_nothing_is_left_of_a_topic_that_was_made_anew() -> None:
    part = split([read_to(10)], 4)
    assert rest(part, {ONE: bounds(10, topic_id="another")}) == ()
    (left,) = rest(part, {ONE: replace(bounds(30), log_start=2)})
    assert (left.start, left.end, left.log_start, left.high_watermark) == (4, 10, 2, 30)
