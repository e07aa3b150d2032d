"""Laws of every trigger rule: a new file in the folder is tested unasked."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pyarrow as pa
import pytest
from annotated_types import BaseMetadata
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from processor.avro.contracts import contract
from processor.measurements import INSUFFICIENT, Measurement
from processor.tables import DECISIONS, EVIDENCE
from processor.triggers.facts import Facts
from processor.triggers.holds import FIRED
from processor.triggers.machine import RULES, BoundRule, decide_all
from processor.triggers.rules.base import Action, Cause, Evidence, Finding, Rule, RuleParams

NOW = datetime(2017, 3, 1, tzinfo=UTC)
WORDS = ("accuracy", "recall", "all", "sex=F", "batch", "30d", "AGEP", "SCHL")
"""Few, so that settings and measurements meet."""

HASH = "0123456789ab"
every_rule = pytest.mark.parametrize("rule", list(RULES), ids=lambda rule: rule.name)
WORD = st.sampled_from(WORDS)
number = st.none() | st.floats(0, 1) | st.sampled_from([math.nan, math.inf, -math.inf])


def facts_of(
    found: tuple[Measurement, ...] = (), new_rows: int = 0, baseline_version: str = "1"
) -> Facts:
    return Facts(
        loop="loop",
        model_name="model",
        baseline_version=baseline_version,
        batch_id=7,
        now=NOW,
        window_start=NOW - timedelta(days=1),
        window_end=NOW,
        measurements=found,
        dataset="train",
        new_rows=new_rows,
        training=(),
        previous=(),
    )


METRICS = (("accuracy", None), ("recall", None), ("drift.ks", "AGEP"), ("drift.chi2", "SCHL"))
WORST = facts_of(
    tuple(
        Measurement(
            loop="loop",
            model_name="model",
            model_version="1",
            metric=metric,
            slice="all",
            window="batch",
            n=10**6,
            value=0.1,
            ci_low=0.05,
            ci_high=0.15,
            feature=feature,
            reference_value=0.9,
            p=0.0,
            q=0.0,
            effect=1.0,
        )
        for metric, feature in METRICS
    ),
    new_rows=10**12,
)

MEASURED = st.builds(
    Measurement,
    loop=st.just("loop"),
    model_name=st.just("model"),
    model_version=st.sampled_from(["1", "2"]),
    metric=st.sampled_from([*(metric for metric, _ in METRICS), "drift.psi"]),
    slice=st.sampled_from(["all", "sex=F"]),
    window=st.sampled_from(["batch", "30d"]),
    n=st.integers(0, 10**6),
    value=number,
    ci_low=number,
    ci_high=number,
    effective_n=number,
    feature=st.none() | st.sampled_from(["AGEP", "SCHL"]),
    reference_value=number,
    p=number,
    q=number,
    effect=number,
    verdict=st.none() | st.just(INSUFFICIENT),
    reason=st.none() | st.just("3 rows, fewer than 30"),
)


def key(one: Measurement) -> tuple[str | None, ...]:
    return one.model_version, one.metric, one.slice, one.window, one.feature


ANY_FACTS = st.builds(
    facts_of,
    st.lists(MEASURED, max_size=6, unique_by=key).map(tuple),
    st.integers(0, 100),
    st.sampled_from(["", "1"]),
)


def settings_of(rule: Rule, *, whole: bool = True) -> st.SearchStrategy[RuleParams]:
    """Settings that the rule accepts, made from what it declares; or those it must be given."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in rule.params.model_fields.items():
        kind = _value(field.annotation, field.metadata)
        (required if field.is_required() else optional)[name] = kind
    told = st.fixed_dictionaries(required, optional=optional if whole else {})
    return told.filter(lambda raw: _accepted(rule, raw)).map(rule.params.model_validate)


def _value(kind: Any, bounds: list[Any]) -> st.SearchStrategy[Any]:  # noqa: ANN401  # any annotation
    if kind is str:
        return WORD
    if get_origin(kind) in (Union, UnionType):
        return st.one_of(*(_value(part, []) for part in get_args(kind)))
    if get_origin(kind) is Annotated:
        return _value(get_args(kind)[0], [])
    if get_origin(kind) is tuple:
        return st.lists(WORD, max_size=3).map(tuple)
    known = [bound for bound in bounds if isinstance(bound, BaseMetadata)]
    bounded: Any = Annotated[(kind, *known)] if known else kind
    return st.from_type(bounded)


def _accepted(rule: Rule, raw: dict[str, Any]) -> bool:
    try:
        rule.params.model_validate(raw)
    except ValidationError:
        return False
    return True


def symbols(field: str) -> set[str]:
    (found,) = (f for f in contract("RetrainingTrigger").schema["fields"] if f["name"] == field)
    return set(found["type"]["symbols"])


@every_rule
def test_says_what_the_contract_can_say(rule: Rule) -> None:
    assert rule.cause in symbols("reason")
    assert rule.action in symbols("action")


def test_settings_offer_every_action_of_the_contract() -> None:
    assert {*get_args(Action)} == symbols("action") - {"UNKNOWN"}
    assert {*get_args(Cause)} <= symbols("reason")


def test_evidence_has_the_fields_of_the_table() -> None:
    assert {field.name for field in fields(Evidence)} == set(EVIDENCE.names)


@every_rule
@given(data=st.data())
def test_facts_without_measurements_and_rows_meet_nothing(rule: Rule, data: st.DataObject) -> None:
    finding = rule.judge(facts_of(), data.draw(settings_of(rule)))
    assert not finding.met
    assert finding.reason


@every_rule
@given(data=st.data(), facts=ANY_FACTS)
def test_judges_any_facts_and_leaves_them_alone(
    rule: Rule, data: st.DataObject, facts: Facts
) -> None:
    params = data.draw(settings_of(rule))
    before = repr(facts), repr(params)
    finding = rule.judge(facts, params)
    assert isinstance(finding, Finding)
    assert finding.reason.strip()
    assert "\n" not in finding.reason
    assert (repr(facts), repr(params)) == before


@every_rule
@given(data=st.data(), facts=ANY_FACTS)
def test_the_order_of_measurements_decides_nothing(
    rule: Rule, data: st.DataObject, facts: Facts
) -> None:
    params = data.draw(settings_of(rule))
    shuffled = tuple(data.draw(st.permutations(facts.measurements)))
    other = replace(facts, measurements=shuffled)
    assert repr(rule.judge(facts, params)) == repr(rule.judge(other, params))


@every_rule
@given(data=st.data(), facts=ANY_FACTS)
def test_other_versions_than_the_baseline_decide_nothing(
    rule: Rule, data: st.DataObject, facts: Facts
) -> None:
    params = data.draw(settings_of(rule))
    named = replace(facts, baseline_version="1")
    mine = tuple(m for m in facts.measurements if m.model_version == "1")
    alone = replace(named, measurements=mine)
    assert repr(rule.judge(named, params)) == repr(rule.judge(alone, params))


@every_rule
@given(data=st.data(), facts=ANY_FACTS)
def test_the_evidence_fits_the_table(rule: Rule, data: st.DataObject, facts: Facts) -> None:
    """Its fields are those of EVIDENCE, and what the event's contract needs is there."""
    bound = BoundRule(rule, data.draw(settings_of(rule)), HASH)
    (decision,) = decide_all(facts, [bound])
    stored = pa.array([decision.evidence], DECISIONS.arrow.field("evidence").type)
    for each, kept in zip(decision.evidence, stored.to_pylist()[0], strict=True):
        assert set(each) == set(EVIDENCE.names)
        assert repr({name: each[name] for name in EVIDENCE.names}) == repr(kept)
        assert all(each[name] is not None for name in ("metric", "method", "observed", "n"))
    if decision.state == FIRED:
        assert decision.evidence


@every_rule
def test_the_worst_of_days_fires(rule: Rule) -> None:
    """A rule that nothing meets is no rule; one that judges a new metric adds it above."""
    found = settings(max_examples=1000, phases=[Phase.generate], derandomize=True)
    wanted = settings_of(rule, whole=False)
    params = find(wanted, lambda told: rule.judge(WORST, told).met, settings=found)
    (decision,) = decide_all(WORST, [BoundRule(rule, params, HASH)])
    assert decision.state == FIRED
