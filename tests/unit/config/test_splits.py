"""How the rows of a dataset may be divided, and how not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from processor.config import Config
from processor.errors import ConfigError
from tests.unit.config.own import LOOP, loaded

BY_TIME = "by: time, validation_from: 2017-01-01, test_from: 2017-06-01T00:00:00Z, embargo: 14d"


def with_split(folder: Path, text: str) -> Config:
    path = folder / "loops" / "a.yaml"
    datasets = f"datasets: [{{name: d, split: {{{text}}}}}]"
    path.write_text(LOOP.format(name="a") + datasets, encoding="utf-8")
    return loaded(folder)


@pytest.mark.parametrize("text", ["by: session", "by: tag.store", "by: feature.a b", BY_TIME])
def test_a_split_is_by_shares_or_by_time(folder: Path, text: str) -> None:
    split = with_split(folder, text).loop["a"].datasets[0].split
    assert split.test_from in (None, datetime(2017, 6, 1, tzinfo=UTC))
    assert split.validation_from in (None, datetime(2017, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BY_TIME.replace("14d", "335h"), "is shorter than outcome.window"),
        (BY_TIME.replace(", embargo: 14d", ""), "is shorter than outcome.window"),
        (BY_TIME.replace("14d", "151d"), "is not before test_from less the embargo"),
        (BY_TIME + ", test: 0.1", "a split by time has no test"),
        ("by: time, embargo: 14d", "needs test_from"),
        (BY_TIME.replace("2017-01-01", "5"), "validation_from.*a time is written as 2024-"),
        (BY_TIME.replace("2017-01-01", "20170101"), "validation_from.*a time is written"),
        (BY_TIME.replace("2017-01-01", "'5'"), "validation_from.*a time is written"),
        (BY_TIME.replace("2017-01-01", "1.5"), "validation_from.*a time is written"),
        ("by: subject, embargo: 14d", "a split by subject has no embargo"),
        ("validation: 0.5, test: 0.5", "leave nothing to train on"),
        ("by: region", r"by: use subject, session, time, tag.<name> or feature.<name>"),
        ("by: tag.", r"by: use subject, session, time, tag.<name> or feature.<name>"),
        ("by: 5", "by: it has to be a text"),
        ("by: time, test_from: soon", r"test_from: a time is written as 2024-03-01 or 2024"),
    ],
)
def test_a_split_that_would_leak_or_cannot_be_is_refused(
    folder: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        with_split(folder, text)
