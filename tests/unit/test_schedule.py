"""Boundaries of a schedule, against pandas and against the calendar; moments that people write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.config import ScheduleConfig
from processor.errors import ConfigError
from processor.schedule import INTERVALS, WEEKDAYS, boundaries, due, last_boundary, moment

ZONES = sorted(zone for zone in available_timezones() if "/" in zone)
LISTED = (
    *("Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo"),
    *("America/Havana", "Asia/Beirut", "Australia/Lord_Howe", "America/St_Johns"),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
zones = st.sampled_from(LISTED) | st.sampled_from(ZONES)
moments = st.integers(0, 40 * 366 * 24 * 3600).map(
    lambda seconds: datetime(1995, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@st.composite
def schedules(draw: st.DrawFn) -> ScheduleConfig:
    every = draw(st.sampled_from(["hour", "day", "week"]))
    weekday = draw(st.sampled_from(WEEKDAYS))
    return ScheduleConfig.model_validate({"every": every, "zone": draw(zones), "weekday": weekday})


def by_pandas(schedule: ScheduleConfig, after: datetime, upto: datetime) -> list[datetime]:
    """The same by pandas: a range of dates, put on the clocks of the zone."""
    if schedule.every == "hour":
        found = pd.date_range(after.replace(minute=0, second=0, microsecond=0), upto, freq="h")
    else:
        freq = "D" if schedule.every == "day" else f"W-{schedule.weekday[:3].upper()}"
        day = timedelta(days=1)
        first, last = (
            (m + d).replace(tzinfo=None) for m, d in ((after, -2 * day), (upto, 2 * day))
        )
        naive = pd.date_range(first, last, freq=freq, normalize=True)
        found = naive.tz_localize(
            schedule.zone, ambiguous=[True] * len(naive), nonexistent="shift_forward"
        )
    in_utc = {each.to_pydatetime().astimezone(UTC) for each in found}
    return sorted(each for each in in_utc if after < each <= upto)


@given(schedules(), moments, st.integers(0, 60 * 24 * 60))
def test_boundaries_are_those_of_pandas(
    schedule: ScheduleConfig, after: datetime, minutes: int
) -> None:
    upto = after + timedelta(minutes=minutes)
    found = boundaries(schedule, after, upto)
    assert found == by_pandas(schedule, after, upto)
    assert all(left < right for left, right in pairwise(found))


@given(schedules(), moments, st.lists(st.integers(0, 40 * 24 * 3600), max_size=6))
def test_runs_at_any_times_find_the_boundaries_of_one_late_run(
    schedule: ScheduleConfig, start: datetime, seconds: list[int]
) -> None:
    clocks = [start + timedelta(seconds=each) for each in sorted(seconds)]
    in_time: list[datetime] = []
    for clock in clocks:
        in_time += due(schedule, in_time[-1] if in_time else start, clock)
    assert in_time == (due(schedule, start, clocks[-1]) if clocks else [])


@given(schedules(), moments)
def test_the_newest_boundary_is_the_last_of_any_range(
    schedule: ScheduleConfig, upto: datetime
) -> None:
    newest = last_boundary(schedule, upto)
    assert newest <= upto
    assert boundaries(schedule, newest, upto) == []
    assert boundaries(schedule, upto - 2 * INTERVALS[schedule.every], upto)[-1] == newest
    assert due(schedule, None, upto) == [newest]


def test_days_have_23_24_or_25_hours_and_hours_are_even() -> None:
    berlin = ScheduleConfig(every="day", zone="Europe/Berlin")
    spring, autumn = datetime(2024, 3, 30, tzinfo=UTC), datetime(2024, 10, 26, tzinfo=UTC)
    for start, hours in ((spring, [24, 23, 24]), (autumn, [24, 25, 24])):
        found = boundaries(berlin, start - timedelta(hours=3), start + timedelta(days=3))
        assert [(b - a) / timedelta(hours=1) for a, b in pairwise(found)] == hours
        assert {each.astimezone(ZoneInfo("Europe/Berlin")).hour for each in found} == {0}
    long_day = datetime(2024, 10, 26, 22, tzinfo=UTC)
    assert last_boundary(berlin, long_day + timedelta(hours=24, minutes=59)) == long_day
    hourly = boundaries(ScheduleConfig(every="hour"), spring, spring + timedelta(days=2))
    assert len(hourly) == 48


def test_a_midnight_that_clocks_skip_is_when_they_do_and_a_skipped_day_has_none() -> None:
    brazil = ScheduleConfig(every="day", zone="America/Sao_Paulo")
    day = datetime(2018, 11, 4, tzinfo=UTC)
    assert boundaries(brazil, day, day + timedelta(days=1)) == [day + timedelta(hours=3)]
    samoa = ScheduleConfig(every="day", zone="Pacific/Apia")
    gone = datetime(2011, 12, 30, tzinfo=UTC)
    found = boundaries(samoa, gone - timedelta(days=1), gone + timedelta(days=2))
    assert [each.astimezone(ZoneInfo("Pacific/Apia")).day for each in found] == [29, 31, 1]


def test_before_any_batch_the_newest_boundary_is_due_or_those_since_a_moment() -> None:
    daily = ScheduleConfig(every="day")
    upto = datetime(2024, 5, 3, 12, tzinfo=UTC)
    third = datetime(2024, 5, 3, tzinfo=UTC)
    assert due(daily, None, upto) == [third]
    assert due(daily, None, upto, third - timedelta(days=2)) == [third - timedelta(days=1), third]
    assert due(daily, third, upto, third - timedelta(days=2)) == []


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2024-05-31T08:00Z", 8),
        ("2024-05-31T08:00+02:00", 6),
        ("2024-05-31T08:00", 6),
        ("2024-05-31 08:00:00", 6),
        ("2024-05-31", -2),
        ("2024-10-27T02:30+02:00", None),
    ],
)
def test_a_moment_is_read_as_iso_or_as_local_time(text: str, hour: int | None) -> None:
    expected = datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    if hour is not None:
        expected = datetime(2024, 5, 31, tzinfo=UTC) + timedelta(hours=hour)
    assert moment(text, "Europe/Berlin", NOW) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "is no time"),
        ("2026-01-01T00:00:01Z", "is after now"),
        ("2024-10-27T02:30", "there twice or not at all in Europe/Berlin"),
        ("2024-03-31T02:30", "there twice or not at all in Europe/Berlin"),
    ],
)
def test_a_moment_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        moment(text, "Europe/Berlin", NOW)
