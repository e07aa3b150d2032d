"""What each rule says of measurements, and which settings are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processor.errors import ConfigError
from processor.measurements import INSUFFICIENT, Measurement
from processor.triggers.holds import FIRED
from processor.triggers.machine import QUIET, rules_of
from tests.unit.triggers.facts import (
    BELOW,
    DRIFT,
    MOVED,
    QUIET_FACTS,
    VOLUME,
    accuracy,
    drift,
    judged,
    loop,
    measured,
    one,
)


@pytest.mark.parametrize(("rows", "state"), [(0, QUIET), (99, QUIET), (100, FIRED), (101, FIRED)])
def test_volume_is_met_from_its_number_on(rows: int, state: str) -> None:
    decision = one(replace(QUIET_FACTS, new_rows=rows), VOLUME)
    assert decision.state == state
    assert (
        decision.reason == f"{rows} new rows of jobs-train since the last trigger, 100 are enough"
    )
    (evidence,) = decision.evidence
    assert (evidence["observed"], evidence["threshold"], evidence["n"]) == (rows, 100, rows)


BELOW_CASES = {
    "the whole interval below": (BELOW, accuracy(0.75, 0.779), FIRED, "below 0.7800"),
    "the bound at the limit": (
        {**BELOW, "margin": 0.25, "against": 1},
        accuracy(0.7, 0.75),
        QUIET,
        "not below 0.7500",
    ),
    "the value below, the bound not": (BELOW, accuracy(0.75, 0.79), QUIET, "not below 0.7800"),
    "better than the baseline": (BELOW, accuracy(0.9, 0.91), QUIET, "not below"),
    "INSUFFICIENT, whatever its numbers": (
        BELOW,
        accuracy(0.1, 0.2, verdict=INSUFFICIENT, reason="3 rows, fewer than 30"),
        QUIET,
        "INSUFFICIENT: 3 rows, fewer than 30",
    ),
    "no value": (BELOW, measured("accuracy", reference_value=0.8), QUIET, "INSUFFICIENT: no value"),
    "no baseline's own": (BELOW, accuracy(0.1, 0.2, reference_value=None), QUIET, "no baseline"),
    "a number instead": (
        {**BELOW, "against": 0.6},
        accuracy(0.5, 0.55, reference_value=None),
        FIRED,
        "below 0.5800",
    ),
    "a number, not the baseline": ({**BELOW, "against": 0.6}, accuracy(0.7, 0.75), QUIET, "0.5800"),
    "another metric": (BELOW, measured("recall", value=0.0, ci_high=0.1), QUIET, "not measured"),
    "another slice": (BELOW, accuracy(0.1, 0.2, slice="sex=F"), QUIET, "not measured"),
    "the slice that is meant": (
        {**BELOW, "slice": "sex=F"},
        accuracy(0.1, 0.2, slice="sex=F"),
        FIRED,
        "on sex=F",
    ),
    "another window": (BELOW, accuracy(0.1, 0.2, window="30d"), QUIET, "not measured"),
    "the window that is meant": (
        {**BELOW, "window": "30d"},
        accuracy(0.1, 0.2, window="30d"),
        FIRED,
        "(30d)",
    ),
    "a candidate's": (BELOW, accuracy(0.1, 0.2, model_version="2"), QUIET, "not measured"),
}


@pytest.mark.parametrize(("rule", "found", "state", "words"), BELOW_CASES.values(), ids=BELOW_CASES)
def test_a_metric_is_below_beyond_chance(
    rule: dict[str, Any], found: Measurement, state: str, words: str
) -> None:
    decision = judged(rule, found)
    assert decision.state == state
    assert words in decision.reason


def test_the_evidence_of_a_metric_is_its_interval_and_limit() -> None:
    (evidence,) = judged(BELOW, accuracy(0.7, 0.75, effective_n=900.0)).evidence
    assert evidence == {
        "metric": "accuracy",
        "slice": "all",
        "method": "upper confidence bound",
        "observed": 0.7,
        "reference": 0.8,
        "threshold": pytest.approx(0.78),
        "ci_low": pytest.approx(0.65),
        "ci_high": 0.75,
        "effect": pytest.approx(-0.1),
        "p_value": None,
        "q_value": None,
        "n": 1000,
        "effective_n": 900.0,
    }


def test_without_a_baseline_the_version_of_most_rows_is_judged() -> None:
    few = accuracy(0.1, 0.2, model_version="9", n=10)
    many = accuracy(0.9, 0.95, model_version="2", n=5000)
    unnamed = replace(QUIET_FACTS, baseline_version="")
    for found in ((few, many), (many, few)):
        facts = replace(unnamed, measurements=found)
        assert one(facts, {**BELOW, "against": 0.6}).state == QUIET
    assert one(replace(unnamed, measurements=(few,)), {**BELOW, "against": 0.6}).state == FIRED


DRIFT_CASES = {
    "one is enough": (DRIFT, (MOVED,), FIRED, "1 of 1 features of model 1 moved"),
    "both limits are inclusive": (DRIFT, (drift("AGEP", 0.01, 0.1),), FIRED, "1 of 1"),
    "real but small": (DRIFT, (drift("AGEP", 0.0, 0.099),), QUIET, "0 of 1"),
    "large but by chance": (DRIFT, (drift("AGEP", 0.011, 0.9),), QUIET, "0 of 1"),
    "a limit of one's own": ({**DRIFT, "min_effect": 0.31}, (MOVED,), QUIET, "at least 0.31"),
    "two are needed": ({**DRIFT, "min_features": 2}, (MOVED,), QUIET, "2 are enough"),
    "two tests of one feature are one": (
        {**DRIFT, "min_features": 2},
        (MOVED, drift("AGEP", 0.001, 0.4, metric="drift.chi2")),
        QUIET,
        "1 of 1",
    ),
    "two are there": (
        {**DRIFT, "min_features": 2},
        (MOVED, drift("SCHL", 0.001, 0.4, metric="drift.chi2")),
        FIRED,
        "2 of 2",
    ),
    "not looked at": ({**DRIFT, "features": ["SCHL"]}, (MOVED,), QUIET, "no drift was measured"),
    "looked at": ({**DRIFT, "features": ["SCHL", "AGEP"]}, (MOVED,), FIRED, "AGEP 0.300"),
    "a candidate's": (DRIFT, (replace(MOVED, model_version="2"),), QUIET, "was measured"),
    "a score without a test": (DRIFT, (replace(MOVED, metric="drift.psi"),), QUIET, "was measured"),
    "a slice's": (DRIFT, (replace(MOVED, slice="sex=F"),), QUIET, "was measured"),
    "INSUFFICIENT": (
        DRIFT,
        (measured("drift.ks", feature="AGEP", verdict=INSUFFICIENT, reason="too few values"),),
        QUIET,
        "INSUFFICIENT: too few values",
    ),
    "nothing": (DRIFT, (), QUIET, "no drift was measured for model 1"),
}


@pytest.mark.parametrize(("rule", "found", "state", "words"), DRIFT_CASES.values(), ids=DRIFT_CASES)
def test_drift_is_enough_features_that_moved(
    rule: dict[str, Any], found: tuple[Measurement, ...], state: str, words: str
) -> None:
    decision = judged(rule, *found)
    assert decision.state == state
    assert words in decision.reason


def test_why_drift_is_insufficient_is_said_alike_in_any_order() -> None:
    found = [
        measured("drift.ks", feature=name, verdict=INSUFFICIENT, reason=f"{name} has few values")
        for name in ("AGEP", "WKHP")
    ]
    assert judged(DRIFT, *found) == judged(DRIFT, *reversed(found))
    assert "drift of 2 features" in judged(DRIFT, *found).reason


def test_the_evidence_of_drift_is_the_strongest_features_first() -> None:
    weak_first = [drift(f"f{i:02}", 0.001, 0.2 + i / 100) for i in range(15)]
    decision = judged(DRIFT, *weak_first, drift("still", 0.5, 0.9))
    named = [each["metric"] for each in decision.evidence]
    assert named == [f"drift.ks.f{i:02}" for i in range(14, 4, -1)]
    assert "15 of 16" in decision.reason
    assert decision.reason.endswith(": f14 0.340, f13 0.330, f12 0.320")
    first = decision.evidence[0]
    assert (first["method"], first["observed"], first["effect"]) == ("ks", 0.34, 0.34)
    assert (first["threshold"], first["q_value"], first["p_value"]) == (0.1, 0.001, 0.0005)


def test_a_hash_is_what_a_rule_decides_by_however_it_is_written() -> None:
    def hash_of(raw: dict[str, Any]) -> str:
        return rules_of(loop(raw))[0].rule_hash

    plain = hash_of(DRIFT)
    assert plain == hash_of({"q": 0.01, "features": "all", "rule": "drift"})
    assert plain == hash_of({**DRIFT, "cooldown": "168h", "action": "FULL_RETRAIN"})
    more = ({"q": 0.02}, {"cooldown": "8d"}, {"consecutive": 2}, {"action": "INCREMENTAL"})
    others = {hash_of({**DRIFT, **each}) for each in more}
    assert len(others | {plain}) == 5
    assert hash_of({**DRIFT, "features": ["a", "b"]}) == hash_of({**DRIFT, "features": ["b", "a"]})


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"new_rows": 1}, "rules.0"),
        ({"rule": "volum", "new_rows": 1}, "did you mean 'volume'"),
        ({"rule": "volume", "rows": 1}, "did you mean 'new_rows'"),
        ({"rule": "volume", "new_rows": 0}, "new_rows"),
        ({"rule": "volume", "new_rows": 1, "action": "RETRAIN"}, "action"),
        ({"rule": "volume", "new_rows": 1, "consecutive": 0}, "consecutive"),
        ({"rule": "metric_below", "metric": "log_loss"}, "a lower log_loss is a better one"),
        ({"rule": "metric_below", "metric": "accuracy", "against": "basline"}, "against"),
        ({"rule": "drift", "features": [], "q": 0.01}, "features"),
        ({"rule": "drift", "features": ["a", "a"], "q": 0.01, "min_features": 2}, "min_features"),
    ],
)
def test_a_rule_that_cannot_be_right_is_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        rules_of(loop(rule))
    assert words in str(error.value)


def test_a_refused_rule_says_where_it_stands() -> None:
    with pytest.raises(ConfigError, match=r"'jobs', rules\.1 \(volume\)"):
        rules_of(loop(DRIFT, {"rule": "volume"}))


def test_the_same_rule_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="same rule 'volume' twice"):
        rules_of(loop(VOLUME, DRIFT, {**VOLUME, "cooldown": "7d"}))
