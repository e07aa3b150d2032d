"""Ridge regressions, logistic and linear, of columns on one scale. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

RIDGE = 1.0  # penalty of a coefficient squared, halved, of columns of standard deviation 1
_INTERCEPT_RIDGE = 1e-6  # so that there is an optimum where all rows are alike
_ROUNDING = 1e-12  # of a mean, as a share of the largest value
_CLOSE, _MAX_STEPS = 1e-8, 100  # a step of Newton's that changes nothing; there are 5 as a rule

Numbers = npt.NDArray[np.float64]


def logistic(x: Numbers, y: Numbers, at: Numbers) -> Numbers:
    """What a logistic regression of `y`, in [0, 1], on the columns of `x` expects at `at`."""
    design, wanted, penalty = _designs(x, at)

    beta = np.zeros(design.shape[1])
    for _ in range(_MAX_STEPS):
        odds = design @ beta
        p = scipy.special.expit(odds)
        slope = design.T @ (p - y) + penalty * beta
        curvature = (design.T * (p * (1 - p))) @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        if np.abs(step).max() < _CLOSE:
            break
        # Newton's step may be too long; the loss is convex, so a part of it goes down.
        before = _loss(odds, y) + penalty @ beta**2 / 2
        while _loss(design @ (beta - step), y) + penalty @ (beta - step) ** 2 / 2 > before:
            step /= 2
        beta -= step
    said: Numbers = scipy.special.expit(wanted @ beta)
    return said


def linear(x: Numbers, y: Numbers, at: Numbers) -> Numbers:
    """What a linear regression of `y` on the columns of `x` expects at `at`."""
    design, wanted, penalty = _designs(x, at)
    beta = np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ y)
    said: Numbers = wanted @ beta
    return said


def _loss(odds: Numbers, y: Numbers) -> float:
    return float(np.logaddexp(0, odds).sum() - y @ odds)


def _designs(x: Numbers, at: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Both with a column of ones, scaled as `x` is; and the penalty of each coefficient."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    # The spread of a column of one value is rounding, which nothing may be divided by.
    scale = np.where(spread > _ROUNDING * np.abs(x).max(axis=0), spread, 1.0)
    one, other = (np.column_stack([np.ones(len(a)), (a - mean) / scale]) for a in (x, at))
    return one, other, np.array([_INTERCEPT_RIDGE, *[RIDGE] * x.shape[1]])
