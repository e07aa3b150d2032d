"""metric_below: the model is worse than it may be, beyond chance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat, field_validator

from processor.measurements import INSUFFICIENT, OVERALL, Measurement
from processor.triggers.facts import Facts
from processor.triggers.rules.base import Evidence, Finding, Rule, RuleParams

LOWER_IS_BETTER = frozenset({"log_loss"})


class Params(RuleParams):
    """`metric` may fall by `margin` below what it is held `against`, and no further.

    `against` is the baseline's own history, or a number; `slice` and `window` say which
    measurement is meant.
    """

    metric: str
    margin: FiniteFloat = Field(default=0.0, ge=0)
    against: Literal["baseline"] | FiniteFloat = "baseline"
    slice: str = OVERALL
    window: str = "batch"

    @field_validator("metric")
    @classmethod
    def _higher_is_better(cls, metric: str) -> str:
        if metric in LOWER_IS_BETTER:
            raise ValueError(f"a lower {metric} is a better one: choose another metric")
        return metric


def judge(facts: Facts, params: Params) -> Finding:
    """Met when the whole confidence interval is below the reference minus the margin."""
    what = f"{params.metric} of {facts.whom} on {params.slice} ({params.window})"
    found = _measurement(facts, params)
    if found is None:
        return Finding(met=False, reason=f"{what} was not measured")
    if found.verdict == INSUFFICIENT or found.value is None or found.ci_high is None:
        return Finding(met=False, reason=f"{what} is {INSUFFICIENT}: {found.reason or 'no value'}")
    reference = _reference(found, params)
    if reference is None:
        return Finding(met=False, reason=f"{what} has no baseline value to be held against")
    limit = reference - params.margin
    met = found.ci_high < limit
    reason = (
        f"{what} is {found.value:.4f}, at most {found.ci_high:.4f} beyond chance: "
        f"{'below' if met else 'not below'} {limit:.4f} ({reference:.4f} - {params.margin:g})"
    )
    return Finding(met, reason, (_evidence(found, found.value, reference, limit),))


def _measurement(facts: Facts, params: Params) -> Measurement | None:
    """The measurement that is meant; of several versions, that of the most rows."""
    wanted = (params.metric, params.slice, params.window, None)
    meant = (m for m in facts.judged() if (m.metric, m.slice, m.window, m.feature) == wanted)
    return max(meant, key=lambda m: (m.n, m.model_version), default=None)


def _reference(found: Measurement, params: Params) -> float | None:
    return params.against if isinstance(params.against, float) else found.reference_value


def _evidence(found: Measurement, value: float, reference: float, limit: float) -> Evidence:
    """`threshold` is what the upper bound, `ci_high`, is held against."""
    return Evidence(
        metric=found.metric,
        slice=found.slice,
        method="upper confidence bound",
        observed=value,
        reference=reference,
        threshold=limit,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        effect=value - reference,
        n=found.n,
        effective_n=found.effective_n,
    )


ENTRY = Rule("metric_below", Params, "METRIC_DEGRADATION", "FULL_RETRAIN", judge)
