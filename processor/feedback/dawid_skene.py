"""Labels of many raters, each as trustworthy as it shows: Dawid and Skene's EM. No Spark.

Source: A. P. Dawid, A. M. Skene, Maximum likelihood estimation of observer error-rates using the
EM algorithm, Applied Statistics 28 (1979) 20-28.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

MOST_STEPS = 1000
SETTLED = 1e-8
"""EM ends when no posterior moves by more."""
FLOOR = 1e-10  # answers that a rater is taken to have given of each kind: none is impossible
EVEN = 1e-6  # posteriors this near each other are a tie: sums of logarithms are not exact


@dataclass(frozen=True)
class Fit:
    """`posterior` is units x labels; `confusion` raters x what is true x what the rater says.

    `share` is how frequent each label is held to be; `settled` is false where EM was cut short.
    """

    posterior: Matrix
    confusion: Matrix
    share: Matrix
    steps: int
    settled: bool

    def best(self) -> Codes:
        """The most likely label of each unit; -1 where two or more are as likely."""
        most = self.posterior.max(axis=1)
        rivals = (self.posterior > most[:, None] - EVEN).sum(axis=1)
        found: Codes = np.where(rivals == 1, self.posterior.argmax(axis=1), -1)
        return found


@dataclass(frozen=True)
class Votes:
    """Who said what of which unit, by number from 0: one place in each array a vote."""

    unit: Codes
    rater: Codes
    label: Codes

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many units, raters and labels there are."""
        units, raters, labels = (
            int(each.max()) + 1 for each in (self.unit, self.rater, self.label)
        )
        return units, raters, labels


def fit(votes: Votes) -> Fit:
    """The labels and the raters that make the votes most likely, from majorities on.

    The same votes in the same order give the same numbers, to the last bit.

    Raises:
        ValueError: there is no vote.
    """
    if not votes.unit.size:
        raise ValueError("nobody said anything")
    posterior = _majority(votes)
    for step in range(1, MOST_STEPS + 1):
        share, confusion = posterior.mean(axis=0), _confusion(votes, posterior)
        before, posterior = posterior, _posterior(votes, share, confusion)
        if np.abs(posterior - before).max() < SETTLED:
            return Fit(posterior, confusion, share, step, settled=True)
    return Fit(posterior, confusion, share, MOST_STEPS, settled=False)


def coded(names: Sequence[str]) -> tuple[list[str], Codes]:
    """The different names, in order, and the number of each."""
    found, codes = np.unique(np.asarray(names, dtype=object), return_inverse=True)
    return list(found), codes.astype(np.int64)


def _majority(votes: Votes) -> Matrix:
    units, _, labels = votes.shape
    counted = np.bincount(votes.unit * labels + votes.label, minlength=units * labels)
    counts = counted.reshape(units, labels)
    shares: Matrix = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _confusion(votes: Votes, posterior: Matrix) -> Matrix:
    """The M step: what each rater says of each label, by the posteriors of what it rated."""
    _, raters, labels = votes.shape
    said = votes.rater * labels + votes.label
    summed = [
        np.bincount(said, posterior[votes.unit, true], raters * labels).reshape(raters, labels)
        for true in range(labels)
    ]
    counts = np.maximum(np.stack(summed, axis=1), FLOOR)
    found: Matrix = counts / counts.sum(axis=2, keepdims=True)
    return found


def _posterior(votes: Votes, share: Matrix, confusion: Matrix) -> Matrix:
    """The E step, in logarithms: products of many raters would be nothing."""
    units, _, labels = votes.shape
    told = np.log(confusion)[votes.rater, :, votes.label]
    with np.errstate(divide="ignore"):  # a label that nothing is held to be is impossible
        likely = np.stack(
            [np.log(share[t]) + np.bincount(votes.unit, told[:, t], units) for t in range(labels)],
            axis=1,
        )
    odds = np.exp(likely - likely.max(axis=1, keepdims=True))
    found: Matrix = odds / odds.sum(axis=1, keepdims=True)
    return found
