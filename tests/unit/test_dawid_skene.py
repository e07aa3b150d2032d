"""Dawid and Skene's EM, against crowd-kit's numbers, the formulas as written, and planted truth.

crowd-kit brings half a gigabyte of language models' tools; what it says of two sets of votes is
in `dawid_skene.json`, which names its version and call.
"""

from __future__ import annotations

import json
from collections import defaultdict
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from processor.feedback.dawid_skene import EVEN, Fit, Votes, coded, fit

GOLDEN = json.loads(Path(__file__).with_name("dawid_skene.json").read_text(encoding="utf-8"))
Said = tuple[str, str, str]


def fitted(said: list[Said]) -> tuple[Fit, list[str], list[str], list[str]]:
    """The fit, with the names of units, raters and labels."""
    (units, unit), (raters, rater), (labels, label) = (
        coded(names) for names in zip(*said, strict=True)
    )
    return fit(Votes(unit, rater, label)), units, raters, labels


@pytest.mark.parametrize("case", sorted(GOLDEN["cases"]))
def test_posteriors_and_raters_are_those_of_crowd_kit(case: str) -> None:
    golden = GOLDEN["cases"][case]
    found, units, raters, labels = fitted([tuple(each) for each in golden["votes"]])
    assert found.settled
    assert labels == golden["labels"]
    wanted = np.array([golden["posterior"][unit] for unit in units])
    assert found.posterior == pytest.approx(wanted, abs=1e-6)
    wanted = np.array([golden["confusion"][rater] for rater in raters])
    assert found.confusion == pytest.approx(wanted, abs=1e-6)
    assert found.share == pytest.approx(np.array(golden["share"]), abs=1e-6)


def crowd(seed: int, units: int, skill: dict[str, float]) -> tuple[list[Said], dict[str, str]]:
    rng = Random(seed)
    truth = {f"i{n:04d}": rng.choices(("no", "yes"), (0.7, 0.3))[0] for n in range(units)}
    other = {"no": "yes", "yes": "no"}
    said = [
        (unit, rater, label if rng.random() < right else other[label])
        for unit, label in truth.items()
        for rater, right in skill.items()
        if rng.random() < 0.8
    ]
    return said, truth


def test_one_step_is_the_formula_of_the_paper() -> None:
    """At the end, a further step by equations 2.3 to 2.5, without logarithms, changes nothing."""
    said, _ = crowd(3, 60, {"a": 0.9, "b": 0.8, "c": 0.8, "d": 0.3})
    found, units, raters, labels = fitted(said)
    assert found.settled
    given: dict[Any, int] = defaultdict(int)
    for vote in said:
        given[vote] += 1
    rows = {
        unit: dict(zip(labels, found.posterior[n], strict=True)) for n, unit in enumerate(units)
    }
    share = {j: sum(row[j] for row in rows.values()) / len(rows) for j in labels}
    error: dict[Any, float] = {}
    for k in raters:
        for j in labels:
            weight = {s: sum(rows[i][j] * given[i, k, s] for i in units) for s in labels}
            error |= {(k, j, s): weight[s] / sum(weight.values()) for s in labels}
    for unit, row in rows.items():
        raw = {
            j: share[j] * prod(error[k, j, s] ** given[unit, k, s] for k in raters for s in labels)
            for j in labels
        }
        for j in labels:
            assert row[j] == pytest.approx(raw[j] / sum(raw.values()), abs=1e-7)


def test_a_rater_who_is_always_wrong_is_found_out() -> None:
    said, truth = crowd(4, 800, {"ann": 0.95, "bob": 0.9, "liar": 0.1, "coin": 0.5, "cat": 0.6})
    found, units, raters, labels = fitted(said)
    best = dict(zip(units, found.best(), strict=True))
    right = sum(labels[best[unit]] == label for unit, label in truth.items() if unit in best)
    votes: dict[str, list[str]] = defaultdict(list)
    for unit, _, label in said:
        votes[unit].append(label)
    majority = sum(each.count(truth[unit]) > len(each) / 2 for unit, each in votes.items())
    assert right > majority + 50
    agree = {rater: np.trace(found.confusion[n]) / 2 for n, rater in enumerate(raters)}
    assert agree["ann"] == pytest.approx(0.95, abs=0.04)
    assert agree["liar"] == pytest.approx(0.1, abs=0.04)
    assert agree["coin"] == pytest.approx(0.5, abs=0.08)


def test_posteriors_mean_what_they_say() -> None:
    """Of units with the posterior p, a share p are positive."""
    said, truth = crowd(5, 4000, {"ann": 0.8, "bob": 0.75, "cat": 0.7})
    found, units, _, labels = fitted(said)
    positive = found.posterior[:, labels.index("yes")]
    true = np.array([truth[unit] == "yes" for unit in units])
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        inside = (positive >= low) & (positive <= high)
        assert true[inside].mean() == pytest.approx(positive[inside].mean(), abs=0.06)


def test_an_even_case_is_a_tie() -> None:
    said = [("i0", "a", "yes"), ("i0", "b", "no"), ("i1", "a", "no"), ("i1", "b", "yes")]
    found, *_ = fitted(said)
    assert found.best().tolist() == [-1, -1]
    assert np.abs(found.posterior - 0.5).max() < EVEN


def test_what_one_rater_alone_says_is_taken_from_it() -> None:
    found, _, _, labels = fitted([("i0", "a", "yes"), ("i1", "a", "no")])
    assert [labels[n] for n in found.best()] == ["yes", "no"]
    one, *_ = fitted([("i0", "a", "yes"), ("i1", "a", "yes")])
    assert one.posterior.tolist() == [[1.0], [1.0]]


def test_names_are_numbered_in_their_order() -> None:
    names, codes = coded(["b", "a", "b"])
    assert (names, codes.tolist()) == (["a", "b"], [1, 0, 1])


def test_nobody_says_nothing() -> None:
    nobody = np.array([], np.int64)
    with pytest.raises(ValueError, match="nobody"):
        fit(Votes(nobody, nobody, nobody))
