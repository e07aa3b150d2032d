"""drift: the model's inputs are no longer those it was judged on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from processor.measurements import INSUFFICIENT, OVERALL, Measurement
from processor.triggers.facts import Facts
from processor.triggers.rules.base import Evidence, Finding, Rule, RuleParams

METRICS = frozenset({"drift.ks", "drift.chi2"})  # those whose effect means the same: 0 to 1
MIN_EFFECT = 0.1  # with enough rows every difference is real; smaller ones do not matter
EVIDENCE_LIMIT = 10  # features in the evidence, the strongest first
NAMED_LIMIT = 3  # features in the reason


class Params(RuleParams):
    """A feature has moved when its q is at most `q` and its effect at least `min_effect`.

    `features` are those looked at; `min_features` of them have to have moved.
    """

    features: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)]
    q: float = Field(gt=0, lt=1)
    min_effect: float = Field(default=MIN_EFFECT, ge=0, le=1)
    min_features: int = Field(default=1, ge=1)

    @field_validator("features")
    @classmethod
    def _in_order(cls, names: str | tuple[str, ...]) -> str | tuple[str, ...]:
        return names if isinstance(names, str) else tuple(sorted(set(names)))

    @model_validator(mode="after")
    def _can_be_met(self) -> Params:
        if self.features != "all" and self.min_features > len(self.features):
            raise ValueError(f"min_features {self.min_features} is more than features names")
        return self


def judge(facts: Facts, params: Params) -> Finding:
    """Met when at least `min_features` features have moved."""
    found = sorted(_looked_at(facts, params), key=_named)
    judged = [m for m in found if m.q is not None and m.effect is not None]
    if not judged:
        return Finding(met=False, reason=_nothing(facts, found))
    moved = _one_each(sorted((m for m in judged if _moved(m, params)), key=_strongest_first))
    named = ", ".join(f"{m.feature} {m.effect:.3f}" for m in moved[:NAMED_LIMIT])
    reason = (
        f"{len(moved)} of {len({m.feature for m in judged})} features of {facts.whom} moved, "
        f"{params.min_features} are enough (q at most {params.q:g}, effect at least "
        f"{params.min_effect:g})" + (f": {named}" if named else "")
    )
    evidence = tuple(_evidence(m, params) for m in moved[:EVIDENCE_LIMIT])
    return Finding(len(moved) >= params.min_features, reason, evidence)


def _looked_at(facts: Facts, params: Params) -> Iterator[Measurement]:
    return (
        one
        for one in facts.judged()
        if one.metric in METRICS
        and one.slice == OVERALL
        and one.feature is not None
        and (params.features == "all" or one.feature in params.features)
    )


def _named(one: Measurement) -> tuple[str, str, str, str]:
    return one.feature or "", one.metric, one.model_version, one.window


def _strongest_first(one: Measurement) -> tuple[float, float, tuple[str, ...]]:
    return -(one.effect or 0.0), one.q or 0.0, _named(one)


def _moved(one: Measurement, params: Params) -> bool:
    small = one.q is not None and one.q <= params.q
    return small and one.effect is not None and one.effect >= params.min_effect


def _one_each(moved: Iterable[Measurement]) -> list[Measurement]:
    """The first of each feature: two tests of one feature are one feature."""
    first: dict[str | None, Measurement] = {}
    for one in moved:
        first.setdefault(one.feature, one)
    return list(first.values())


def _nothing(facts: Facts, found: list[Measurement]) -> str:
    if not found:
        return f"no drift was measured for {facts.whom}"
    why = next((m.reason for m in found if m.reason), "no value")
    return f"drift of {len(found)} features of {facts.whom} is {INSUFFICIENT}: {why}"


def _evidence(one: Measurement, params: Params) -> Evidence:
    """The contract has no field for a feature, so that the metric names it: `drift.ks.AGEP`."""
    effect = one.effect or 0.0
    return Evidence(
        metric=f"{one.metric}.{one.feature}",
        slice=one.slice,
        method=one.metric.rpartition(".")[2],
        observed=effect,
        threshold=params.min_effect,
        effect=effect,
        p_value=one.p,
        q_value=one.q,
        n=one.n,
        effective_n=one.effective_n,
    )


ENTRY = Rule("drift", Params, "COVARIATE_DRIFT", "FULL_RETRAIN", judge)
