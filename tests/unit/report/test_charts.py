"""Charts are well-formed, escaped, and place what they are given; scales hold their values."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from processor.report.charts import Bar, Point, Series, Stack, bars, intervals, stacked, trend
from processor.report.svg import scale

SCRIPT = "<script>alert('x')</script>"


def test_charts_escape_and_survive_what_is_missing() -> None:
    nothing = Point(1, None)
    drawn = [
        trend([Series(SCRIPT, [nothing]), Series("b", [Point(1, 0.5, 0.4, 0.6)])], SCRIPT),
        trend([Series("a", [nothing])], "none"),
        bars([Bar(SCRIPT, None, SCRIPT), Bar("b", 0.0, "STABLE")], SCRIPT),
        intervals(
            [Bar(SCRIPT, 0.1, SCRIPT, alarm=True, low=0.0, high=0.2), Bar("n", None, "X")],
            SCRIPT,
            0.0,
        ),
        stacked([Stack(SCRIPT, [(SCRIPT, 0), ("b", 0)])], SCRIPT, "key"),
        stacked([], "empty", "key"),
    ]
    for markup in drawn:
        assert "<script" not in markup
        assert "nan" not in markup
        parsed(markup)


@pytest.mark.parametrize("values", [[0.1, 0.9], [0.5], [-3.0, 1e6], [1e-7, 2e-7], [0.0], []])
def test_a_scale_holds_its_values_between_few_round_ticks(values: list[float]) -> None:
    made, ticks = scale(values, 0.0, 100.0)
    assert 2 <= len(ticks) <= 8
    assert all(ticks[0] <= value <= ticks[-1] for value in values)
    assert [made(each) for each in (ticks[0], ticks[-1])] == [0.0, 100.0]


def parsed(markup: str) -> ET.Element:
    return ET.fromstring(markup)  # noqa: S314  # our own markup


def found(markup: str, kind: str) -> list[ET.Element]:
    return [e for e in parsed(markup).iter() if kind in (e.get("class") or "").split()]


def test_a_longer_effect_is_a_longer_bar_and_an_alarm_is_a_word() -> None:
    rows = [Bar("a", 0.4, "DRIFT", alarm=True), Bar("b", 0.1, "STABLE"), Bar("c", None, "FEW")]
    markup = bars(rows, "drift")
    widths = [float(e.get("width") or "") for e in found(markup, "bar")]
    assert widths[0] == pytest.approx(4 * widths[1], abs=0.2)
    assert widths[2] == 0
    assert [e.text for e in found(markup, "word")] == ["0.400 DRIFT", "0.100 STABLE", "FEW"]


def test_the_parts_of_a_whole_share_its_width_by_count() -> None:
    markup = stacked([Stack("batch 1", [("known", 75), ("too early", 25)])], "s", "k")
    drawn = [e for e in found(markup, "part") if e.get("height") == "22"]
    first, second = (float(e.get("width") or "") for e in drawn)
    assert first == pytest.approx(3 * second, abs=0.2)
    assert "75.0%" in markup


def test_a_trend_rises_with_its_values_and_marks_what_is_missing() -> None:
    points = [Point(1, 0.5, 0.4, 0.6), Point(2, None), Point(3, 0.8, 0.7, 0.9)]
    markup = trend([Series("version 1", points)], "accuracy")
    line = found(markup, "line")[0].get("points") or ""
    (x1, y1), (x3, y3) = (map(float, pair.split(",")) for pair in line.split())
    assert x1 < x3
    assert y1 > y3  # upwards is towards zero
    assert len(found(markup, "mark")) == 2
    assert len(found(markup, "cross")) == 1
    assert re.search(r"batch 3: 0\.800 \(0\.700 to 0\.900\)", markup)


def test_series_differ_by_shape_and_not_by_colour_alone() -> None:
    both = [Series(name, [Point(1, 0.5)]) for name in ("a", "b")]
    shapes = {mark.get("d") for mark in found(trend(both, "two"), "mark")}
    assert len(shapes) == 2


def test_an_interval_reaches_as_far_as_it_is_wide() -> None:
    rows = [Bar("a", 0.5, "", low=0.4, high=0.6), Bar("b", 0.5, "", low=0.3, high=0.7)]
    reaches = [e.get("d") or "" for e in found(intervals(rows, "i", 0.5), "whisker")]
    ends = [[float(n) for n in re.findall(r"[MH]([\d.]+)", each)] for each in reaches]
    (low, high), (lower, higher) = ends
    assert higher - lower == pytest.approx(2 * (high - low), abs=0.3)
