"""The Measurement: one number about one model, slice and window, with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

INSUFFICIENT = "INSUFFICIENT"
REFUSED = "REFUSED"
OVERALL = "all"  # the slice that is everybody
DATASET, FEATURES, REQUESTS = "dataset.", "features.", "requests."
"""How metrics begin that judge a version of a dataset, features against their definitions, and
what became of label requests."""
ASKED = "asked"
"""How many labels a batch asks for, and in words, by what policy."""


@dataclass(frozen=True)
class Measurement:
    """One number, or INSUFFICIENT where the data cannot support one.

    `slice` is `all` or `name=value`; `feature` is set where a single feature is meant;
    `window` is `batch`, or a rolling or calendar window over inference time, and
    `[window_start, window_end)` says it in times; `reference` names what it is held against;
    `p` and `q` are the raw and the Benjamini-Hochberg value; `verdict` and `reason` say in
    words what follows, where anything does.
    """

    loop: str
    model_name: str
    model_version: str
    metric: str
    slice: str
    window: str
    n: int
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    effective_n: float | None = None
    feature: str | None = None
    reference: str | None = None
    reference_value: float | None = None
    statistic: float | None = None
    p: float | None = None
    q: float | None = None
    effect: float | None = None
    verdict: str | None = None
    reason: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None


def dataset_metric(dataset: str, what: str) -> str:
    """The metric of something that a version of a dataset is judged by."""
    return f"{DATASET}{dataset}.{what}"


def refused_dataset(row: Mapping[str, Any]) -> str | None:
    """The dataset that, by this row of `measurements`, has no version in its batch."""
    is_refusal = row["metric"].startswith(DATASET) and row["verdict"] in (INSUFFICIENT, REFUSED)
    return row["metric"].split(".")[1] if is_refusal else None
