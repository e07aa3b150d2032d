"""How long Kafka keeps what is unread: the least of each topic, and when to warn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from processor.batches import Partition
from processor.retention import TopicSettings, remaining, warnings

NOW = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FOREVER = 2**63 - 1


def kept(hours: float | None, *, by_size: bool = False) -> TopicSettings:
    return TopicSettings(
        by_arrival=False,
        retention_ms=None if hours is None else int(hours * 3_600_000),
        by_size=by_size,
    )


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 500), max_size=5), st.integers(0, 400))
def test_the_least_of_a_topic_counts(ages: dict[int, int], hours: int) -> None:
    oldest = {Partition("a", n): NOW - age * HOUR for n, age in ages.items()}
    (found,) = remaining({"a": kept(hours)}, {**oldest, Partition("b", 0): NOW - 900 * HOUR}, NOW)
    assert found.hours_left == (hours - max(ages.values()) if ages else None)
    assert found.partition is None or ages[found.partition] == max(ages.values())


def test_no_limit_where_time_deletes_nothing_or_nothing_is_unread() -> None:
    one = {Partition("a", 0): NOW - 5 * HOUR}
    settings = {"a": kept(None, by_size=True), "b": kept(1)}
    unlimited, read = remaining(settings, one, NOW)
    assert (unlimited.hours_left, unlimited.oldest_unread) == (None, NOW - 5 * HOUR)
    assert unlimited.by_size
    assert (read.hours_left, read.oldest_unread) == (None, None)
    assert warnings([unlimited, read], timedelta(days=7)) == []
    (longest,) = remaining({"a": TopicSettings(False, FOREVER, False)}, one, NOW)
    assert (longest.hours_left or 0) > 1e12


def test_less_than_one_interval_is_warned_of() -> None:
    one = {Partition("a", 3): NOW - 5 * HOUR}
    for hours, interval, warned in (
        *((29, 24 * HOUR, False), (28.9, 24 * HOUR, True), (6, HOUR, False), (5.9, HOUR, True)),
        *((5.1, None, False), (5, None, True), (4, None, True)),
    ):
        found = warnings(remaining({"a": kept(hours)}, one, NOW), interval)
        assert len(found) == warned, (hours, interval)
    (sentence,) = found
    assert sentence.startswith("a/3: the oldest unread record, of 2024-04-30 19:00:00 UTC, may be")
