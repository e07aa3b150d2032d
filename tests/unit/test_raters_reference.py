"""Agreement, majority, consensus and whom to ask next, beside crowd-kit's and cleanlab's numbers.

Neither is installed here, for what they bring along; what they say is in `raters.json`, which
names their versions and calls. Where this software differs from cleanlab, it does so by design.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processor.feedback.dawid_skene import Votes, coded, fit
from processor.measure.agreement import alpha
from tests.unit.asking import asked, outcomes, output, said

VOTES = json.loads(Path(__file__).with_name("dawid_skene.json").read_text(encoding="utf-8"))
GOLDEN = json.loads(Path(__file__).with_name("raters.json").read_text(encoding="utf-8"))
CROWD = GOLDEN["crowd"]

each_case = pytest.mark.parametrize("case", sorted(GOLDEN["cases"]))


def by_unit(votes: list[list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for unit, _, label in votes:
        found[unit].append(label)
    return found


@each_case
def test_alpha_is_that_of_crowd_kit(case: str) -> None:
    """Both leave out units with one rating, which agree with nobody."""
    labels = tuple(VOTES["cases"][case]["labels"])
    coincidences = np.zeros((len(labels), len(labels)))
    for given in by_unit(VOTES["cases"][case]["votes"]).values():
        for at, one in enumerate(given):
            for other in given[:at] + given[at + 1 :]:
                coincidences[labels.index(one), labels.index(other)] += 1 / (len(given) - 1)
    found = float(alpha(coincidences, labels, "nominal"))
    assert found == pytest.approx(GOLDEN["cases"][case]["alpha"], abs=1e-9)


@each_case
def test_the_majority_is_cleanlabs_and_a_tie_stays_a_tie(case: str) -> None:
    """Cleanlab breaks ties: by what is rarer, then by the better annotators, then by lot."""
    question = asked(
        "label", positive=VOTES["cases"][case]["labels"][0], consensus={"rule": "majority"}
    )
    votes = VOTES["cases"][case]["votes"]
    events = [
        said(event_id=f"e{n}", kind="LABEL", rater_id=rater, inference_id=unit, value_str=label)
        for n, (unit, rater, label) in enumerate(votes)
    ]
    found = outcomes([output(unit) for unit in by_unit(votes)], events, question)
    ties = 0
    for unit, given in by_unit(votes).items():
        (_, most), *rest = Counter(given).most_common()
        if any(count == most for _, count in rest):
            ties += 1
            assert found[unit].state == "TIED"
        else:
            assert found[unit].value == GOLDEN["cases"][case]["majority"][unit]
    assert 0 < ties < len(found) / 2


def right(labels: dict[str, str]) -> float:
    return float(np.mean([labels[unit] == true for unit, true in CROWD["truth"].items()]))


def test_a_fit_is_right_as_often_as_cleanlabs_consensus_which_asks_a_classifier_too() -> None:
    """CROWDLAB weighs raters and a classifier, and no weight is below 0; ours hears raters alone.

    Dawid and Skene's learn how each rater errs: who is mostly wrong still tells something.
    """
    (units, unit), (raters, rater), (labels, label) = (
        coded(names) for names in zip(*CROWD["votes"], strict=True)
    )
    found = fit(Votes(unit, rater, label))
    ours = {name: labels[best] for name, best in zip(units, found.best(), strict=True)}
    counts = {name: Counter(given) for name, given in by_unit(CROWD["votes"]).items()}
    first = {name: count.most_common()[0][0] for name, count in counts.items()}
    assert right(ours) > right(CROWD["consensus"]) > right(first)
    same = np.mean([ours[name] == CROWD["consensus"][name] for name in units])
    assert 0.7 < same < 1
    assert np.trace(found.confusion[raters.index("liar")]) / 2 < 0.3


def test_whoever_is_asked_first_by_cleanlab_is_the_least_confident() -> None:
    """Its score of what nobody labelled is the confidence, drawn half-way to 1 / K.

    The order is that of `least_confidence`, turned: but who is asked is drawn, not cut off.
    """
    names = list(CROWD["yes"])
    p = np.array([CROWD["yes"][name] for name in names])
    least_confidence = 1 - np.maximum(p, 1 - p)
    score = np.array([CROWD["score"][name] for name in names])
    assert score == pytest.approx((1 - least_confidence + 1 / 2) / 2, abs=1e-12)


def test_what_made_the_numbers_is_named() -> None:
    made: Any = GOLDEN["made_by"]
    assert "crowd-kit 1.4" in made
    assert "cleanlab 2." in made
