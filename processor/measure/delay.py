"""How long answers take, those that are still to come counted in: Kaplan-Meier, from counts. Pure.

An answer is counted by its delay from the response, an inference without one by how long it was
seen. Recent ones are known in part: m(e) = I(e) / I(window) of their answers have come at age e.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from processor.measure.intervals import CONFIDENCE, wilson, wilson_share
from processor.measurements import INSUFFICIENT, Measurement
from processor.weighting import deviations

Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

BINS = 1000
"""Parts of a window. A delay is rounded up to whole ones, and how long an inference was seen, down:
so a curve is that of single inferences at the end of each part, and less than one part of what was
seen goes unused."""
PLACES = BINS + 1
"""Part 0 is the moment of the response, part BINS the end of the window."""

SEEN, ANSWERED = "seen", "answered"
"""What rows count by: how long inferences were seen, or how long their answers took."""

METRIC = "outcome."
OPEN, LOOKBACK = "open", "lookback"
"""Windows of these measurements: inferences whose own is open, and all that are looked at."""


@dataclass(frozen=True)
class Curve:
    """The share of inferences that is answered by the end of each part: arrays of PLACES.

    `answered` counts them by the part in which they were, `waiting` the others by the last part
    to the end of which they were seen.
    """

    answered: Counts
    waiting: Counts

    @cached_property
    def at_risk(self) -> Counts:
        """Inferences that were seen to the end of a part, and not answered before it."""
        left: Counts = (self.answered + self.waiting)[::-1].cumsum()[::-1]
        return left

    @cached_property
    def survival(self) -> Numbers:
        """S: the share without an answer.

        Source: E. L. Kaplan, P. Meier, JASA 53 (1958) 457.
        """
        stay = 1 - self.answered / np.maximum(self.at_risk, 1)
        found: Numbers = stay.cumprod()
        return found

    @cached_property
    def spread(self) -> Numbers:
        """What each part adds to the variance of log S; 0 where S falls to 0, which has none.

        Source: M. Greenwood, Reports on Public Health 33 (1926): d / (n (n - d)).
        """
        n, d = self.at_risk.astype(np.float64), self.answered
        found: Numbers = np.divide(d, n * (n - d), out=np.zeros(PLACES), where=n > d)
        return found

    @property
    def incidence(self) -> Numbers:
        """I = 1 - S."""
        found: Numbers = 1 - self.survival
        return found

    @property
    def maturity(self) -> Numbers:
        """m: of the answers that come within the window, the share that has come."""
        found: Numbers = self.incidence / self.incidence[-1]
        return found

    def interval(self, part: int) -> tuple[float, float]:
        """The 95 % interval of I at the end of a part; Wilson's where all or none are answered.

        Source: J. D. Kalbfleisch, R. L. Prentice, The Statistical Analysis of Failure Time Data
        (1980): Greenwood's variance, on the scale log(-log S).
        """
        stays = float(self.survival[part])
        if stays == 1:
            return wilson(0, int(self.at_risk[part]))
        if stays == 0:
            everyone = int(self.at_risk[0])
            return wilson(everyone, everyone)
        log = np.log(stays)
        z = deviations(CONFIDENCE)
        step = z * np.sqrt(self.spread[: part + 1].sum()) / log
        low, high = (1 - stays ** np.exp(sign * step) for sign in (1, -1))
        return float(low), float(high)


class Interval(NamedTuple):
    """A share and its 95 % interval."""

    value: float
    low: float
    high: float


def matured(curve: Curve, seen: Counts) -> tuple[float, float]:
    """How many of some inferences count as known, the sum of m(e), and the variance of that sum.

    `seen` has them by how long they were seen, `curve` an answer at least. The delta method: what
    a part adds to log S moves all parts that follow.
    """
    stays, every = curve.survival, curve.incidence[-1]
    total = float((seen * curve.maturity).sum())
    moved = (seen * stays)[::-1].cumsum()[::-1] - total * stays[-1]
    return total, float((curve.spread * moved**2).sum() / every**2)


def share_matured(curve: Curve, seen: Counts) -> Interval:
    """The share of the inferences that counts as known, the mean of m(e)."""
    n, (total, variance) = int(seen.sum()), matured(curve, seen)
    value = min(1.0, total / n)
    return Interval(value, *_wilson(value, variance / n**2, int(curve.answered.sum())))


def rate(curve: Curve, seen: Counts, positive: int) -> Interval:
    """The share of recent inferences that will be positive, of whom `positive` are by now.

    The sum of the positives by that of m(e), `curve` being that of earlier inferences' positives:
    so what is recent is not held to how many there were before, only to how long they took. The
    interval is Wilson's of the share by now, for as many rows as have its variance and that of m.
    Above 1 where answers come sooner than they did.
    """
    n, (total, variance) = int(seen.sum()), matured(curve, seen)
    found, by_now = positive / total, positive / n
    chance = np.minimum(found * curve.maturity, 1.0)
    spread = (seen * chance * (1 - chance)).sum() + found**2 * variance
    bounds = _wilson(by_now, float(spread) / n**2, n)
    return Interval(*(each * n / total for each in (by_now, *bounds)))


def _wilson(share: float, variance: float, n: int) -> tuple[float, float]:
    """Wilson's interval for as many rows as have the variance; for `n` where it says nothing."""
    says = 0 < share < 1 and variance > 0
    return wilson_share(share, share * (1 - share) / variance if says else n)


class Delays(NamedTuple):
    """Inferences and their answers, by part: arrays of PLACES, but for `positive_open`.

    `seen` and `heard` are by how long they were seen: all, and those of them with an answer by
    then. The others are by delay: answers of open and of closed windows, and the positive ones.
    """

    seen: Counts
    heard: Counts
    answered_open: Counts
    answered_closed: Counts
    positive_closed: Counts
    positive_open: int

    @property
    def open(self) -> Counts:
        """Inferences whose window is open, by how long they were seen."""
        found = self.seen.copy()
        found[-1] = 0
        return found

    @property
    def closed(self) -> int:
        """How many windows are over."""
        return int(self.seen[-1])

    def everyone(self) -> Curve:
        """The curve of all answers, of open windows as far as they were seen."""
        return Curve(self.answered_open + self.answered_closed, self.seen - self.heard)

    def of_closed(self, answers: Counts) -> Curve:
        """The curve of answers of closed windows."""
        waiting = np.zeros(PLACES, np.int64)
        waiting[-1] = self.closed - answers.sum()
        return Curve(answers, waiting)


def delays(rows: Iterable[Mapping[str, Any]]) -> Delays:
    """The rows of `answered.delays`, as arrays."""
    listed = list(rows)

    def placed(by: str, of: str, *windows: bool) -> Counts:
        found = np.zeros(PLACES, np.int64)
        for row in listed:
            if row["by"] == by and row["is_open"] in windows:
                found[row["part"]] += row[of]
        return found

    both = (True, False)
    return Delays(
        placed(SEEN, "n", *both),
        placed(SEEN, "answered", *both),
        placed(ANSWERED, "n", True),
        placed(ANSWERED, "n", False),
        placed(ANSWERED, "positive", False),
        int(placed(SEEN, "positive", True).sum()),
    )


def measured(
    found: Delays, blank: Measurement, least: int, *, sided: bool
) -> Iterator[Measurement]:
    """Incidence, maturity, and where outcomes have a side, the rate of what is recent.

    `n` counts the inferences that a figure is of, `effective_n` of a rate those that count as
    known: the sum of m(e). No value on fewer than `least` of them, of closed windows, or of
    answers that say how long one takes.
    """
    few = _fewer(found.closed, "inferences whose window is over", least)
    yield _incidence(found, replace(blank, metric=f"{METRIC}incidence", window=LOOKBACK), few)
    told = replace(blank, window=OPEN, n=int(found.open.sum()))
    few = few or _fewer(told.n, "inferences were seen whose window is open", least)
    yield _maturity(found, replace(told, metric=f"{METRIC}maturity"), few, least)
    if sided:
        yield _rate(found, replace(told, metric=f"{METRIC}rate_recent"), few, least)


def _incidence(found: Delays, blank: Measurement, few: str | None) -> Measurement:
    told = replace(blank, n=int(found.seen.sum()))
    if few:
        return _insufficient(told, few)
    curve = found.everyone()
    return _said(told, Interval(float(curve.incidence[-1]), *curve.interval(BINS)))


def _maturity(found: Delays, told: Measurement, few: str | None, least: int) -> Measurement:
    curve = found.of_closed(found.answered_closed)
    few = few or _fewer(int(curve.answered.sum()), "answers in windows that are over", least)
    return _insufficient(told, few) if few else _said(told, share_matured(curve, found.open))


def _rate(found: Delays, told: Measurement, few: str | None, least: int) -> Measurement:
    curve = found.of_closed(found.positive_closed)
    few = few or _fewer(int(curve.answered.sum()), "positives in windows that are over", least)
    if few:
        return _insufficient(told, few)
    total, _ = matured(curve, found.open)
    told = replace(told, effective_n=total)
    if total < least:
        early = f"{total:.1f} of {told.n} inferences count as known, fewer than {least}"
        return _insufficient(told, early)
    said = rate(curve, found.open, found.positive_open)
    if said.low > 1:
        sooner = f"{found.positive_open} are positive by now: answers come sooner than they did"
        return _insufficient(told, sooner)
    return _said(told, Interval(*(min(1.0, each) for each in said)))


def _fewer(n: int, what: str, least: int) -> str | None:
    return f"{n} {what}, fewer than {least}" if n < least else None


def _insufficient(told: Measurement, reason: str) -> Measurement:
    return replace(told, verdict=INSUFFICIENT, reason=reason)


def _said(told: Measurement, found: Interval) -> Measurement:
    return replace(told, value=found.value, ci_low=found.low, ci_high=found.high)
