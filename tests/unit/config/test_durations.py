"""Spans of time as configuration writes them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from processor.errors import ConfigError
from processor.sections import parse_duration
from tests.unit.config.own import LOOP, loaded

MOMENT = timedelta(0)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("36h", timedelta(hours=36)),
        ("14d", timedelta(days=14)),
        ("2w", timedelta(days=14)),
        (" 5 m ", timedelta(minutes=5)),
    ],
)
def test_durations(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["14", "d", "1.5h", "14y", "-3d", "3d 4h", ""])
def test_what_is_no_duration_is_left_to_be_refused(text: str) -> None:
    assert parse_duration(text) == text


NO_SPANS = ["1.5h", "1y", "d", "10", "0", "'10'", "1.5", "-10m", "10 min", "00:10:00", "Pxx", "[]"]


@pytest.mark.parametrize("text", NO_SPANS)
def test_what_is_no_duration_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(folder, "", f"batch.watermark_tolerance={text}")
    said = "batch.watermark_tolerance: a span is written as 14d, 36h, 30m or 90s"
    assert refused.value.what == said


def test_a_span_of_nothing_is_refused_where_it_makes_no_sense(folder: Path) -> None:
    assert loaded(folder, "", "batch.watermark_tolerance=0s").batch.watermark_tolerance == MOMENT
    for key in ("kafka.timeout", "registry.timeout"):
        with pytest.raises(ConfigError, match=f"{key}: .*greater than"):
            loaded(folder, "", f"{key}=0s")
    path = folder / "loops" / "a.yaml"
    path.write_text(LOOP.format(name="a").replace("14d", "14d, grace: 0s"), encoding="utf-8")
    assert loaded(folder).loop["a"].outcome.grace == MOMENT
    path.write_text(LOOP.format(name="a").replace("14d", "0s"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"outcome\.window: .*greater than"):
        loaded(folder)
