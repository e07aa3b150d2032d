"""When a trigger goes out: states, ids, cooldowns, trainings in flight, whole lives."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.triggers.facts import Facts, TrainingEvent
from processor.triggers.holds import FIRED, TRAINING_LOST
from processor.triggers.machine import NAMESPACE, QUIET, SUPPRESSED, Decision, decide_all, rules_of
from tests.unit.triggers.facts import (
    BATCH,
    BELOW,
    DAY,
    DRIFT,
    MET,
    MOVED,
    NOW,
    QUIET_FACTS,
    TICK,
    VOLUME,
    accuracy,
    judged,
    loop,
    one,
    past,
)


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
