"""For the same budget, labels that the uncertainty policy asks for teach more than random ones."""

from __future__ import annotations

from collections import Counter
from math import log2
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from processor.datasets import sampling
from processor.datasets.draws import draw_one
from processor.datasets.sampling.base import Policy
from processor.datasets.scores import STEPS
from processor.plugins import Registry

POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")
Numbers = npt.NDArray[np.float64]
POOL, HELD_OUT = 1_500, 2_000
FIRST, BUDGET, ROUNDS, SEEDS = 40, 40, 5, 15
FLOOR = 0.02


class Data(NamedTuple):
    x: Numbers
    y: npt.NDArray[np.int64]


def data() -> Data:
    """A fixed set: two classes, a line between them, and some that are on the wrong side."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(POOL + HELD_OUT, 8)) * np.array([3, 1, 1, 1, 1, 0.5, 0.5, 0.5])
    logit = 2 * (1.5 * x[:, 0] + 2 * x[:, 1] - x[:, 2] - 2)
    return Data(x, (rng.random(len(x)) < 1 / (1 + np.exp(-logit))).astype(np.int64))


def margins(model: LogisticRegression, x: Numbers) -> Numbers:
    p = np.sort(model.predict_proba(x), axis=1)
    found: Numbers = np.maximum(1 - (p[:, -1] - p[:, -2]), FLOOR)
    return found


def asked(scores: Numbers | None, names: list[str], seed: int) -> npt.NDArray[np.bool_]:
    """Whom the policy asks about, by its own probabilities and draws; uniform without scores."""
    policy = POLICIES["uncertainty" if scores is not None else "uniform"]
    told = {"rows": BUDGET} | ({"floor": FLOOR} if scores is not None else {})
    steps = [""] * len(names) if scores is None else [str(round(log2(s) * STEPS)) for s in scores]
    chances = policy.allot(Counter(steps), policy.params(**told))
    drawn = (draw_one(name, f"ask|{seed}") for name in names)
    return np.array([d < chances[step] for d, step in zip(drawn, steps, strict=True)])


def curve(found: Data, seed: int, *, by_margin: bool) -> list[float]:
    """The accuracy on what is held out, after each round of labels."""
    order = np.random.default_rng(seed).permutation(len(found.y))
    pool, held_out = order[:POOL], order[POOL:]
    known = np.arange(POOL) < FIRST
    accuracy = []
    for turn in range(ROUNDS + 1):
        model = LogisticRegression(max_iter=300).fit(found.x[pool][known], found.y[pool][known])
        accuracy.append(float(model.score(found.x[held_out], found.y[held_out])))
        left = np.flatnonzero(~known)
        scores = margins(model, found.x[pool][left]) if by_margin else None
        chosen = asked(scores, [f"{pool[n]}|{turn}" for n in left], seed)
        known[left[chosen]] = True
    assert abs(known.sum() - FIRST - BUDGET * (ROUNDS + 1)) < BUDGET * 2
    return accuracy


@pytest.fixture(scope="module")
def curves() -> dict[bool, Numbers]:
    """The curves of both, a row for each seed."""
    found = data()
    with threadpool_limits(1):  # threads wait for each other longer than they work on so little
        return {
            how: np.array([curve(found, seed, by_margin=how) for seed in range(SEEDS)])
            for how in (True, False)
        }


def test_the_median_curve_is_above_that_of_random_labels(curves: dict[bool, Numbers]) -> None:
    unsure, even = (np.median(curves[how], axis=0) for how in (True, False))
    assert unsure[0] == even[0], "both begin with the same labels"
    assert (unsure[2:] > even[2:]).all()


def test_it_needs_fewer_labels_for_what_random_ones_come_to_in_the_end(
    curves: dict[bool, Numbers],
) -> None:
    unsure, even = (np.median(curves[how], axis=0) for how in (True, False))
    reached = int(np.argmax(unsure >= even[-1]))
    assert 0 < reached <= ROUNDS - 2
    assert (curves[True].mean(axis=1) > curves[False].mean(axis=1)).mean() >= 0.75
