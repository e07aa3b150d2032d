"""Shares and means of rows that stand for unequally many, from sums of weights. Pure.

A row's weight is 1 / (the probability that its event was logged x that its answer was asked for).
Estimates are Hájek's, Σwy / Σw, with the variance of the linearised ratio, Σw²(y - mean)² / (Σw)²:
see `processor.weighting.hajek`, which says the same of single rows.
"""

from __future__ import annotations

from typing import NamedTuple

from processor.measure.intervals import normal, wilson_share


class Mass(NamedTuple):
    """The weights of some rows: their sum, and that of their squares."""

    w: float
    ww: float

    @property
    def effective(self) -> float:
        """How many rows of equal weight say as much, (Σw)² / Σw² (Kish); 0 for no rows."""
        return self.w**2 / self.ww if self.ww else 0.0


class WeightedCounts(NamedTuple):
    """The known rows of one model version, window and slice, as sums of their weights.

    Each cell of the confusion matrix, and of the rows that said a probability of what happened,
    with the loss l in nats: Σw, Σw², Σwl, Σw²l and Σw²l².
    """

    w_tp: float
    w_fp: float
    w_fn: float
    w_tn: float
    ww_tp: float
    ww_fp: float
    ww_fn: float
    ww_tn: float
    w_said: float
    ww_said: float
    w_loss: float
    ww_loss: float
    ww_loss_sq: float

    def mass(self, *names: str) -> Mass:
        """The rows of some cells (tp, fp, fn, tn), or those that have a loss (said)."""
        w, ww = (sum(getattr(self, f"{of}_{name}") for name in names) for of in ("w", "ww"))
        return Mass(w, ww)


class Weighed(NamedTuple):
    """An estimate, its 95 % interval, and the effective number of rows it stands on."""

    value: float
    low: float
    high: float
    effective: float


def share(hits: Mass, misses: Mass) -> Weighed:
    """The share of hits, with Wilson's interval for as many rows as have the ratio's variance.

    Where all rows are alike, for the effective number of rows. There is at least one row.
    Source: C. Franco, R. Little, T. Louis, E. Slud, J. Survey Stat. Methodol. 7 (2019) 334.
    """
    everyone = Mass(hits.w + misses.w, hits.ww + misses.ww)
    value = hits.w / everyone.w
    variance = (hits.ww * (1 - value) ** 2 + misses.ww * value**2) / everyone.w**2
    rows = value * (1 - value) / variance if variance else everyone.effective
    return Weighed(value, *wilson_share(value, rows), everyone.effective)


def mean_loss(counts: WeightedCounts, n: int) -> Weighed:
    """The mean loss of `n` rows, two or more, with the normal interval, never below 0."""
    said = counts.mass("said")
    value = counts.w_loss / said.w
    squares = counts.ww_loss_sq - 2 * value * counts.ww_loss + value**2 * said.ww
    variance = max(0.0, squares) / said.w**2 * n / (n - 1)
    low, high = normal(value, variance)
    return Weighed(value, max(0.0, low), high, said.effective)
