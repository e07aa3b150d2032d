"""What a trigger rule is, what it answers, and the settings that all of them have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from processor.sections import Duration, Section
from processor.triggers.facts import Facts

COOLDOWN = timedelta(days=7)  # after a trigger, where the rule does not say
LONGEST_COOLDOWN = timedelta(days=3650)

Action = Literal[
    "FULL_RETRAIN", "INCREMENTAL", "REWARD_MODEL", "DISTILL", "AUTOML_SEARCH", "REPLAY_REFRESH"
]
Cause = Literal[
    "METRIC_DEGRADATION",
    "COVARIATE_DRIFT",
    "CONCEPT_DRIFT",
    "LABEL_DRIFT",
    "BIAS",
    "VOLUME",
    "SCHEDULE",
    "ERASURE",
]


class RuleParams(Section):
    """What every rule can be told.

    `cooldown` is how long no rule of the loop fires after this one did; `consecutive` in how many
    batches in a row the condition has to be met; `action` what is asked of the training pipeline,
    None for the rule's own.
    """

    cooldown: Duration = Field(default=COOLDOWN, ge=timedelta(0), le=LONGEST_COOLDOWN)
    consecutive: int = Field(default=1, ge=1)
    action: Action | None = None


@dataclass(frozen=True)
class Evidence:
    """One number that a finding rests on; fields are those of the contract's Evidence.

    `observed` is what was held against `threshold`; `method` says how.
    """

    metric: str
    method: str
    observed: float
    n: int
    slice: str | None = None
    reference: float | None = None
    threshold: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    effect: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    effective_n: float | None = None


@dataclass(frozen=True)
class Finding:
    """Whether a rule's condition is met, one sentence with the numbers, and what they are."""

    met: bool
    reason: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A reason to retrain; `cause` and `action` are symbols of the RetrainingTrigger contract.

    `judge(facts, params)` is total: it raises nothing, and what is missing or INSUFFICIENT is a
    condition not met. It does not depend on the order of the measurements.
    """

    name: str
    params: type[RuleParams]
    cause: Cause
    action: Action
    judge: Callable[[Facts, Any], Finding]
