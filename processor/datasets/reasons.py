"""Why an outcome is, or is not, a row of a version: in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processor.datasets.split import EMBARGO
from processor.datasets.supervised import KEPT, NOT_SAMPLED, SOURCE

_REFUSED = {
    "retracted": "its last outcome was taken back",
    "tied": "its raters disagree evenly, and the tie stays",
    SOURCE: "its answer is of a source that was found misbehaving before",
    "no_label": "its outcome has no value that could be a label",
    "training_not_allowed": "whoever it is about allows no training with it",
    EMBARGO: "it was served within the embargo before a later split",
}


def reason(decision: Mapping[str, Any]) -> str:
    """The sentence on one decided candidate; `reason`, `drawn`, `inclusion_prob` are read."""
    drawn, chance = decision["drawn"], decision["inclusion_prob"]
    if decision["reason"] == KEPT:
        return f"it was chosen: its draw {drawn:.6f} is below its probability {chance:.6f}"
    if decision["reason"] == NOT_SAMPLED:
        return f"it was not chosen: its draw {drawn:.6f} is not below its probability {chance:.6f}"
    return _REFUSED[decision["reason"]]
