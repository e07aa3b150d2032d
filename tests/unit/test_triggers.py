"""When a trigger goes out: facts in, decisions with states and reasons out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.config import LoopConfig
from processor.errors import ConfigError
from processor.measurements import INSUFFICIENT, Measurement
from processor.triggers.facts import Facts, PastDecision, TrainingEvent
from processor.triggers.holds import FIRED, TRAINING_LOST
from processor.triggers.machine import NAMESPACE, QUIET, SUPPRESSED, Decision, decide_all, rules_of

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


# What the rules say


@pytest.mark.parametrize(("rows", "state"), [(0, QUIET), (99, QUIET), (100, FIRED), (101, FIRED)])
def test_volume_is_met_from_its_number_on(rows: int, state: str) -> None:
    decision = one(replace(QUIET_FACTS, new_rows=rows), VOLUME)
    assert decision.state == state
    assert decision.reason == f"{rows} new rows since the last trigger, 100 are enough"
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


MOVED = drift("AGEP", 0.001, 0.3)
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


# What is decided


def test_a_fired_decision_has_an_id_a_key_and_a_cooldown() -> None:
    decision = one(MET, {**VOLUME, "cooldown": "3d"})
    assert decision.state == FIRED
    assert decision.trigger_id == str(uuid.uuid5(NAMESPACE, decision.dedupe_key))
    assert decision.dedupe_key.split("|")[:3] == ["jobs", decision.rule_hash, "7"]
    assert decision.cooldown_until == NOW + 3 * DAY
    assert (decision.consecutive, decision.cause, decision.action) == (1, "VOLUME", "INCREMENTAL")
    assert (decision.window_start, decision.window_end) == (NOW - DAY, NOW)
    assert (decision.loop, decision.model_name, decision.baseline_version) == ("jobs", "model", "1")


def test_a_quiet_decision_has_a_reason_and_no_trigger() -> None:
    decision = one(QUIET_FACTS, VOLUME)
    assert (decision.state, decision.consecutive) == (QUIET, 0)
    assert (decision.trigger_id, decision.cooldown_until) == (None, None)
    assert decision.reason


def test_the_action_is_the_rules_own_unless_told() -> None:
    assert judged(BELOW, accuracy(0.1, 0.2)).action == "FULL_RETRAIN"
    assert judged(DRIFT, MOVED).action == "FULL_RETRAIN"
    assert one(MET, {**VOLUME, "action": "FULL_RETRAIN"}).action == "FULL_RETRAIN"


@pytest.mark.parametrize("batch_id", [BATCH, BATCH + 1])
@pytest.mark.parametrize("end", [NOW, NOW + TICK])
def test_another_batch_or_another_cut_is_another_trigger(batch_id: int, end: datetime) -> None:
    same = (batch_id, end) == (BATCH, NOW)
    other = replace(MET, batch_id=batch_id, window_end=end)
    assert (one(other, VOLUME).trigger_id == one(MET, VOLUME).trigger_id) is same


@pytest.mark.parametrize(
    ("earlier", "state", "consecutive"),
    [
        ((), SUPPRESSED, 1),
        (((6, 1),), SUPPRESSED, 2),
        (((5, 1), (6, 2)), FIRED, 3),
        (((6, 8),), FIRED, 9),
        (((5, 2),), SUPPRESSED, 1),  # batch 6 said nothing of this rule
        (((5, 2), (6, 0)), SUPPRESSED, 1),  # in batch 6 it was not met
    ],
)
def test_fires_when_met_in_enough_batches_in_a_row(
    earlier: Sequence[tuple[int, int]], state: str, consecutive: int
) -> None:
    rule = {**VOLUME, "consecutive": 3}
    before = one(MET, rule)
    previous = tuple(past(before, batch, consecutive=count) for batch, count in earlier)
    decision = one(replace(MET, previous=previous), rule)
    assert (decision.state, decision.consecutive) == (state, consecutive)
    if state == SUPPRESSED:
        assert f"met in {consecutive} of 3 batches in a row" in decision.reason


def test_another_rules_batches_do_not_count() -> None:
    rule = {**VOLUME, "consecutive": 2}
    other = past(one(MET, {**VOLUME, "new_rows": 50, "consecutive": 2}))
    assert one(replace(MET, previous=(other,)), rule).state == SUPPRESSED


@pytest.mark.parametrize(
    ("late", "state"), [(-DAY, SUPPRESSED), (-TICK, SUPPRESSED), (timedelta(), FIRED), (DAY, FIRED)]
)
def test_any_rules_trigger_cools_all_until_exactly_its_end(late: timedelta, state: str) -> None:
    """Whatever the cooldown of the rule that has to wait."""
    fired = judged({**DRIFT, "cooldown": "7d"}, MOVED)
    assert fired.cooldown_until is not None
    later = replace(MET, now=fired.cooldown_until + late, previous=(past(fired),))
    decision = one(later, {**VOLUME, "cooldown": "1d"})
    assert decision.state == state
    if state == SUPPRESSED:
        words = "cooling down until 2017-03-08 00:00:00 UTC since drift fired in batch 6"
        assert words in decision.reason
        assert decision.dedupe_key == fired.dedupe_key
        assert (decision.trigger_id, decision.cooldown_until) == (None, None)
        assert decision.evidence
        assert decision.consecutive == 1


def test_of_two_cooldowns_the_longer_counts() -> None:
    fired = one(MET, VOLUME)
    long = past(fired, 2, cooldown_until=NOW + DAY, dedupe_key="long")
    short = past(fired, 5, cooldown_until=NOW - DAY, dedupe_key="short")
    assert one(replace(MET, previous=(long, short)), VOLUME).dedupe_key == "long"


def test_what_was_not_fired_cools_nothing() -> None:
    quiet = past(one(QUIET_FACTS, VOLUME), cooldown_until=NOW + DAY)
    assert one(replace(MET, previous=(quiet,)), VOLUME).state == FIRED


def event(
    action: str, at: datetime, trigger: str | None = "t", version: str = "2"
) -> TrainingEvent:
    return TrainingEvent(action, trigger, version, at)


HOUR = timedelta(hours=1)
START = event("TRAINING_STARTED", NOW - 2 * HOUR)
TRAINING_CASES = {
    "started": ((START,), SUPPRESSED),
    "registered": ((START, event("REGISTERED", NOW - HOUR)), FIRED),
    "failed": ((START, event("TRAINING_FAILED", NOW - HOUR)), FIRED),
    "registered at the same time": ((event("REGISTERED", START.at), START), FIRED),
    "failed, then started again": ((event("TRAINING_FAILED", START.at - TICK), START), SUPPRESSED),
    "another trigger's end": ((START, event("REGISTERED", NOW - HOUR, "other")), SUPPRESSED),
    "an end that names no trigger": ((START, event("REGISTERED", NOW - HOUR, None)), FIRED),
    "another version's end": ((START, event("REGISTERED", NOW - HOUR, None, "3")), SUPPRESSED),
    "by hand": ((event("TRAINING_STARTED", NOW - HOUR, None),), SUPPRESSED),
    "deployed only": ((event("DEPLOYED", NOW - HOUR),), FIRED),
    "still evaluated": ((START, event("EVALUATED", NOW - HOUR)), SUPPRESSED),
    "one of two": (
        (START, event("REGISTERED", NOW), event("TRAINING_STARTED", NOW - HOUR, "u", "3")),
        SUPPRESSED,
    ),
    "nearly lost": ((event("TRAINING_STARTED", NOW - TRAINING_LOST + TICK),), SUPPRESSED),
    "lost": ((event("TRAINING_STARTED", NOW - TRAINING_LOST),), FIRED),
}


@pytest.mark.parametrize(("training", "state"), TRAINING_CASES.values(), ids=TRAINING_CASES)
def test_a_training_in_flight_holds_back(training: tuple[TrainingEvent, ...], state: str) -> None:
    for told in (training, training[::-1]):
        decision = one(replace(MET, training=told), VOLUME)
        assert decision.state == state
        assert ("in training since" in decision.reason) is (state == SUPPRESSED)


def test_a_training_in_flight_names_the_trigger_that_asked_for_it() -> None:
    fired = past(one(MET, VOLUME), cooldown_until=NOW)
    start = event("TRAINING_STARTED", NOW - HOUR, fired.trigger_id)
    decision = one(replace(MET, previous=(fired,), training=(start,)), VOLUME)
    assert (decision.state, decision.dedupe_key) == (SUPPRESSED, fired.dedupe_key)


def test_the_first_rule_of_the_file_fires_and_holds_the_others_back() -> None:
    facts = replace(MET, measurements=(accuracy(0.1, 0.2), MOVED))
    impatient = {**VOLUME, "consecutive": 2}
    waiting, below, moved, quiet = decide_all(
        facts, rules_of(loop(impatient, BELOW, DRIFT, {**VOLUME, "new_rows": 999}))
    )
    states = [waiting.state, below.state, moved.state, quiet.state]
    assert states == [SUPPRESSED, FIRED, SUPPRESSED, QUIET]
    assert moved.dedupe_key == below.dedupe_key != waiting.dedupe_key
    assert "metric_below fired in this batch" in moved.reason
    assert moved.trigger_id is None


# Settings


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


# Whatever happens


Day = tuple[int, bool, str | None]
"""Hours since the batch before, whether enough rows are there, and news of the last training."""

days = st.lists(
    st.tuples(
        st.integers(0, 72),
        st.booleans(),
        st.none() | st.sampled_from(["TRAINING_STARTED", "REGISTERED", "TRAINING_FAILED"]),
    ),
    max_size=25,
)
patience = st.integers(1, 3)


def lived(history: Sequence[Day], needed: int) -> list[tuple[Facts, list[Decision]]]:
    """Batch after batch, each with what the ones before decided."""
    rules = rules_of(
        loop(
            {**VOLUME, "cooldown": "2d", "consecutive": needed},
            {**BELOW, "cooldown": "5d"},
            {**DRIFT, "cooldown": "1d"},
        )
    )
    facts = QUIET_FACTS
    found: list[tuple[Facts, list[Decision]]] = []
    asked: str | None = None
    for number, (hours, met, news) in enumerate(history, start=1):
        now = facts.now + hours * HOUR
        told = (event(news, now, asked),) if news and asked else ()
        facts = replace(
            facts,
            batch_id=number,
            now=now,
            window_end=now,
            new_rows=100 * met,
            measurements=(accuracy(0.1, 0.2),) if hours % 3 else (MOVED,),
            training=facts.training + told,
        )
        decisions = decide_all(facts, rules)
        found.append((facts, decisions))
        asked = next((d.trigger_id for d in decisions if d.trigger_id), asked)
        facts = replace(facts, previous=facts.previous + tuple(past(d, number) for d in decisions))
    return found


@settings(deadline=None)
@given(days, patience)
def test_a_life_of_decisions(history: Sequence[Day], needed: int) -> None:
    seen = lived(history, needed)
    assert lived(history, needed) == seen  # deciding again decides the same
    until: datetime | None = None
    ids: list[str] = []
    for number, (facts, decisions) in enumerate(seen, start=1):
        fired = [d for d in decisions if d.state == FIRED]
        assert len(fired) <= 1
        assert all((d.trigger_id is not None) is (d.state == FIRED) for d in decisions)
        assert all(d.reason for d in decisions)
        volume = decisions[0]
        run = [*takewhile(bool, (met for _, met, _ in reversed(history[:number])))]
        assert volume.consecutive == len(run)
        for decision in fired:
            assert until is None or facts.now >= until
            assert decision.rule != "volume" or len(run) >= needed
            assert decision.cooldown_until is not None
            until = decision.cooldown_until
            ids.append(str(decision.trigger_id))
        met = [d for d in decisions if d.state != QUIET]
        cool = until is not None and facts.now < until
        trained = any("in training" in d.reason for d in decisions)
        assert fired or cool or trained or all(d is volume for d in met)  # else one has to fire
    assert len(ids) == len(set(ids))
