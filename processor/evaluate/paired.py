"""Two models on the same rows: counts of who was right, and what they support. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import scipy

from processor.weighting import deviations

_ADDED = 0.5  # rows that Agresti and Min add to each of the four counts


@dataclass(frozen=True)
class PairedCounts:
    """Rows that both models answered, by which of them was right."""

    both_right: int
    only_baseline: int
    only_candidate: int
    both_wrong: int

    @property
    def n(self) -> int:
        """All rows."""
        return self.both_right + self.only_baseline + self.only_candidate + self.both_wrong

    @property
    def difference(self) -> float:
        """Accuracy of the candidate minus that of the baseline.

        Raises:
            ZeroDivisionError: there are no rows.
        """
        return (self.only_candidate - self.only_baseline) / self.n

    def interval(self, confidence: float) -> tuple[float, float]:
        """The two-sided interval of the difference, within [-1, 1]; never a single point.

        Adjusted Wald: half a row is added to each count, so that models which never differed on
        a few rows are not taken to be the same. Source: A. Agresti, Y. Min, Statistics in
        Medicine 24 (2005) 729.
        """
        baseline, candidate = self.only_baseline + _ADDED, self.only_candidate + _ADDED
        n = self.n + 4 * _ADDED
        centre = (candidate - baseline) / n
        variance = ((candidate + baseline) / n - centre * centre) / n
        half = deviations(confidence) * sqrt(variance)
        return max(-1.0, centre - half), min(1.0, centre + half)

    @property
    def p(self) -> float:
        """Exact McNemar: how likely a split as uneven is, were both right equally often.

        Two-sided, from the rows that only one got right; 1 where there are none. Source:
        Q. McNemar, Psychometrika 12 (1947) 153; the binomial distribution in place of the limit.
        """
        differing = self.only_baseline + self.only_candidate
        fewer = min(self.only_baseline, self.only_candidate)
        return min(1.0, 2 * float(scipy.special.bdtr(float(fewer), differing, 0.5)))
