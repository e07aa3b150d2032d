"""When the world answers: how long after a prediction its outcome happens and is reported.

Of all inferences, `NEVER_SHARE` get no answer. The others' outcomes happen after a delay that is
lognormal with the median `MEDIAN_DELAY_DAYS`: `P(delay > 14 days) = 7.0 %`, after the window.
Of the answers, `LATE_REPORT_SHARE` happen inside the window and are reported months later, when
it has long closed; the others are reported some hours after they happened. A few are sent twice,
and a few are wrong at first and corrected days later.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

DAY = 86_400_000_000  # microseconds
HOUR = DAY // 24
WINDOW = 14 * DAY  # as `outcome.window` of conf/loops/employment.yaml

NEVER_SHARE = 0.05
LATE_REPORT_SHARE = 0.01
RESENT_SHARE = 0.002
CORRECTED_SHARE = 0.001

MEDIAN_DELAY_DAYS = 4.0
DELAY_SIGMA = 0.85  # standard deviation of the delay's logarithm
MEAN_REPORTING = 6 * HOUR  # exponential
LATE_REPORT_DAYS = (60, 200)  # after it happened, uniform
RESENT_AFTER_HOURS = (1, 48)  # after the first time, uniform
CORRECTED_AFTER_DAYS = (1, 5)  # after the wrong report, uniform

IN_WINDOW, AFTER_WINDOW, LATE_REPORT, NEVER = "in_window", "after_window", "late_report", "never"

Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Answers(NamedTuple):
    """What becomes of each inference; times are microseconds since 1970, `kind` is one of four.

    `known_at` means nothing where the kind is NEVER; `resent_at` and `corrected_at` only where
    `resent` and `corrected` say so.
    """

    kind: npt.NDArray[np.str_]
    happened_at: Times
    known_at: Times
    resent: Flags
    resent_at: Times
    corrected: Flags
    corrected_at: Times


def draw(responded_at: Times, rng: np.random.Generator) -> Answers:
    """The answers to inferences that responded at those times."""
    n = len(responded_at)
    delay = _delays(n, rng)
    lot = rng.random(n)
    never = lot < NEVER_SHARE
    late = ~never & (lot < NEVER_SHARE + (1 - NEVER_SHARE) * LATE_REPORT_SHARE)
    # A late report is of something that did happen in time, so its delay is folded into the window.
    delay = np.where(late, delay % WINDOW, delay)
    happened_at = responded_at + delay
    usual = rng.exponential(MEAN_REPORTING, n).astype(np.int64)
    known_at = happened_at + np.where(late, _between(LATE_REPORT_DAYS, DAY, n, rng), usual)
    kind = np.select([never, late, delay > WINDOW], [NEVER, LATE_REPORT, AFTER_WINDOW], IN_WINDOW)
    odd = rng.random(n)
    resent = ~never & (odd < RESENT_SHARE)
    corrected = (kind == IN_WINDOW) & (odd > 1 - CORRECTED_SHARE)
    return Answers(
        kind,
        happened_at,
        known_at,
        resent,
        known_at + _between(RESENT_AFTER_HOURS, HOUR, n, rng),
        corrected,
        known_at + _between(CORRECTED_AFTER_DAYS, DAY, n, rng),
    )


def _delays(n: int, rng: np.random.Generator) -> Times:
    days = rng.lognormal(np.log(MEDIAN_DELAY_DAYS), DELAY_SIGMA, n)
    return (days * DAY).astype(np.int64)


def _between(bounds: tuple[int, int], unit: int, n: int, rng: np.random.Generator) -> Times:
    low, high = bounds
    return rng.integers(low * unit, high * unit, n)
