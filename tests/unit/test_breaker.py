"""The breaker acts beyond the share that is allowed, and never on a handful of records."""

from __future__ import annotations

from typing import Any

import pytest

from processor.config import DefectsConfig
from processor.stages.breaker import MOST_NAMED, excess, named

LIMITS = DefectsConfig(max_share=0.1, min_rows=100)


def counts(*pairs: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"rows": rows, "valid": rows - bad} for rows, bad in pairs]


@pytest.mark.parametrize(
    ("pairs", "share"),
    [
        ([(100, 10)], None),
        ([(100, 11)], 0.11),
        ([(99, 99)], None),
        ([(50, 0), (50, 20)], 0.2),
        ([(1000, 50), (1000, 149)], None),
        ([], None),
    ],
)
def test_the_share_is_of_all_that_the_batch_landed(
    pairs: list[tuple[int, int]], share: float | None
) -> None:
    assert excess(counts(*pairs), LIMITS) == share


def test_every_share_may_be_allowed() -> None:
    assert excess(counts((100, 100)), DefectsConfig(max_share=1.0)) is None
    assert excess(counts((100, 1)), DefectsConfig(max_share=0.0)) == 0.01


def test_the_most_frequent_codes_are_named_with_a_record_of_each() -> None:
    rows = [
        {
            "code": f"c{n}",
            "n": n * 1000,
            "detail": "why",
            "example_topic": "t",
            "example_partition": 2,
            "example_offset": n,
        }
        for n in range(1, MOST_NAMED + 3)
    ]
    said = named(rows)
    assert said.startswith("7,000 c7, as t/2/7 (why); 6,000 c6")
    assert "c1" not in said
