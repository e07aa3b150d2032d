"""Facts and decisions that the tests of triggers start from."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from processor.loops import LoopConfig
from processor.measurements import Measurement
from processor.triggers.facts import Facts, PastDecision
from processor.triggers.machine import Decision, decide_all, rules_of

NOW = datetime(2017, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)  # the finest difference of two stored times
BATCH = 7

VOLUME = {"rule": "volume", "new_rows": 100}
BELOW = {"rule": "metric_below", "metric": "accuracy", "margin": 0.02}
DRIFT = {"rule": "drift", "features": "all", "q": 0.01}


def loop(*rules: dict[str, Any]) -> LoopConfig:
    outcome = {"metric": "employed", "from": "ground_truth", "window": "14d"}
    raw = {"loop": "jobs", "model": "model", "outcome": outcome, "rules": rules}
    return LoopConfig.model_validate(raw)


QUIET_FACTS = Facts(
    loop="jobs",
    model_name="model",
    baseline_version="1",
    batch_id=BATCH,
    now=NOW,
    window_start=NOW - DAY,
    window_end=NOW,
    measurements=(),
    dataset="jobs-train",
    new_rows=0,
    training=(),
    previous=(),
)
MET = replace(QUIET_FACTS, new_rows=100)  # what VOLUME waits for


def measured(metric: str, version: str = "1", **more: Any) -> Measurement:  # noqa: ANN401  # fields
    blank = Measurement("jobs", "model", version, metric, "all", "batch", 1000)
    return replace(blank, **more)


def accuracy(value: float, high: float, **more: Any) -> Measurement:  # noqa: ANN401  # fields
    told = {"reference_value": 0.8, "ci_low": value - (high - value), "reference": "1", **more}
    return measured("accuracy", value=value, ci_high=high, **told)


def drift(feature: str, q: float, effect: float, **more: Any) -> Measurement:  # noqa: ANN401  # fields
    told = {"feature": feature, "q": q, "p": q / 2, "effect": effect, **more}
    return measured(told.pop("metric", "drift.ks"), value=effect, statistic=9.0, **told)


def past(decision: Decision, batch_id: int = BATCH - 1, **more: Any) -> PastDecision:  # noqa: ANN401  # fields
    columns = {"batch_id": batch_id, **asdict(decision), **more}
    return PastDecision(**{name: columns[name] for name in PastDecision.__dataclass_fields__})


def one(facts: Facts, *rules: dict[str, Any]) -> Decision:
    (decision,) = decide_all(facts, rules_of(loop(*rules)))
    return decision


def judged(rule: dict[str, Any], *found: Measurement) -> Decision:
    return one(replace(QUIET_FACTS, measurements=found), rule)


MOVED = drift("AGEP", 0.001, 0.3)  # what DRIFT waits for
