"""Krippendorff's alpha, against the package `krippendorff`, and the interval against truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import krippendorff
import numpy as np
import numpy.typing as npt
import pytest

from processor.measure.agreement import Ratings, Scale, agreement, alpha, interval
from processor.measurements import INSUFFICIENT, Measurement

SCALES: Sequence[Scale] = get_args(Scale)
BLANK = Measurement("l", "m", "all", "agreement.m.alpha", "all", "batch", 0)
Units = npt.NDArray[np.float64]


def ratings(units: Units, parts: int) -> list[dict[str, Any]]:
    """Counts of pairs, unit by unit: units x raters, NaN for no rating."""
    rows: dict[tuple[int, float, float], dict[str, Any]] = {}
    for number, unit in enumerate(units):
        given = unit[~np.isnan(unit)]
        for at, one in enumerate(given):
            for beside, other in enumerate(given):
                if at != beside:
                    key = (number % parts, float(one), float(other))
                    row = rows.setdefault(
                        key,
                        dict(zip(("part", "one", "other"), key, strict=True))
                        | {"weight": 0.0, "units": 0.0},
                    )
                    row["weight"] += 1 / (len(given) - 1)
                    row["units"] += 1 / len(given) / (len(given) - 1)
    return list(rows.values())


def panel(seed: int, units: int, raters: int, agree: float) -> Units:
    """Raters who see what is there with the probability `agree`, else something; some do not."""
    rng = np.random.default_rng(seed)
    there = rng.choice([0.0, 1.0, 2.0, 5.0], (units, 1), p=[0.4, 0.3, 0.2, 0.1])
    said = np.where(
        rng.random((units, raters)) < agree,
        there,
        rng.choice([0.0, 1.0, 2.0, 5.0], (units, raters)),
    )
    said[rng.random((units, raters)) < 0.4] = np.nan
    return said


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("seed", range(6))
def test_alpha_is_that_of_the_reference(seed: int, scale: Scale) -> None:
    units = panel(seed, 60, 2 + seed, seed / 5)
    found = agreement(ratings(units, 7), scale, BLANK, 1)
    wanted = krippendorff.alpha(units.T, level_of_measurement=scale)
    assert found.value == pytest.approx(wanted, abs=1e-9)
    assert found.n == (np.count_nonzero(~np.isnan(units), axis=1) >= 2).sum()
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= wanted <= found.ci_high


def test_words_agree_as_numbers_of_a_nominal_scale_do() -> None:
    units = panel(3, 40, 3, 0.7)
    named = [
        {**row, "one": f"v{row['one']}", "other": f"v{row['other']}"} for row in ratings(units, 5)
    ]
    numbers = agreement(ratings(units, 5), "nominal", BLANK, 1)
    assert agreement(named, "nominal", BLANK, 1).value == pytest.approx(numbers.value, abs=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_all_who_agree_and_all_who_do_not(scale: Scale) -> None:
    same = np.array([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]])
    assert agreement(ratings(same, 3), scale, BLANK, 1).value == 1
    never = np.array([[1.0, 2.0], [2.0, 1.0]])
    found = agreement(ratings(never, 2), scale, BLANK, 1).value
    assert found == pytest.approx(krippendorff.alpha(never.T, level_of_measurement=scale))
    assert found is not None
    assert found < 0


def test_what_supports_no_number_says_so() -> None:
    units = panel(1, 30, 3, 0.7)
    n = int((np.count_nonzero(~np.isnan(units), axis=1) >= 2).sum())
    few = agreement(ratings(units, 5), "nominal", BLANK, n + 1)
    assert (few.verdict, few.value, few.n) == (INSUFFICIENT, None, n)
    assert few.reason == f"{n} inferences with two ratings or more, fewer than {n + 1}"
    alike = agreement(ratings(np.ones((40, 2)), 5), "nominal", BLANK, 1)
    assert (alike.verdict, alike.value, alike.n) == (INSUFFICIENT, None, 40)
    assert "every rating is the same" in str(alike.reason)
    many = agreement(ratings(np.repeat(np.arange(101.0)[:, None], 2, 1), 5), "interval", BLANK, 1)
    assert many.reason == "101 different ratings, more than the 100 that are compared"
    assert agreement([], "nominal", BLANK, 1).verdict == INSUFFICIENT


def test_the_same_ratings_have_the_same_interval_in_any_order() -> None:
    rows = ratings(panel(2, 80, 3, 0.6), 16)
    assert agreement(rows[::-1], "ordinal", BLANK, 1) == agreement(rows, "ordinal", BLANK, 1)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """The truth: alpha of very many units of the same raters."""
    large = matrices(panel(99, 200_000, 3, 0.7), 1)
    truth = float(alpha(large.parts[0], large.values, "nominal"))
    held = 0
    trials = 300
    for seed in range(trials):
        low, high = interval(matrices(panel(seed, 200, 3, 0.7), 64), "nominal")
        held += low <= truth <= high
    assert 0.90 <= held / trials <= 0.985


def matrices(units: Units, parts: int) -> Ratings:
    """The same counts, by numpy."""
    values = np.array([0.0, 1.0, 2.0, 5.0])
    given = (units[:, :, None] == values).sum(axis=1).astype(np.float64)
    m = given.sum(axis=1)
    given, m = given[m >= 2], m[m >= 2]
    pairs = given[:, :, None] * given[:, None, :] - given[:, :, None] * np.eye(len(values))
    weighed = pairs / (m - 1)[:, None, None]
    summed = np.stack([weighed[part::parts].sum(axis=0) for part in range(parts)])
    return Ratings(tuple(values), summed, len(given))
