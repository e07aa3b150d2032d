"""What a loop asks of answers: found from its file, and asked of one event as of many. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic

from processor.checked import checked
from processor.errors import ConfigError
from processor.feedback import consensus as consensus_rules
from processor.feedback import credit as credit_rules
from processor.feedback import signals
from processor.feedback.consensus import base, majority
from processor.feedback.consensus.base import ConsensusRule, Rater
from processor.feedback.credit.base import CreditRule
from processor.feedback.levels import Level, by_gap, level_of
from processor.feedback.rule import RETRACT, Poll, Rule
from processor.feedback.signals.base import LABEL, NUMBER, Said, Signal
from processor.loops import LoopConfig, OutcomeConfig
from processor.plugins import Registry
from processor.terms import Terms, Value

SIGNALS: Registry[Signal] = Registry(signals, "signal")
CREDIT_RULES: Registry[CreditRule] = Registry(credit_rules, "rule of credit")
CONSENSUS_RULES: Registry[ConsensusRule] = Registry(consensus_rules, "rule of consensus")
DEFAULT_SIGNALS = {"ground_truth": "ground_truth", "feedback": "label"}
"""The signal of a loop that says only where its answers come from."""


@dataclass(frozen=True)
class Credit:
    """A rule of credit with its parameters."""

    rule: CreditRule
    params: Any

    def score(self, on: Terms[Value]) -> Value:
        """How much an inference deserves, beside the others."""
        return self.rule.score(on, self.params)


@dataclass(frozen=True)
class Consensus:
    """A rule of consensus with its parameters."""

    rule: ConsensusRule
    params: Any

    @property
    def poll(self) -> Poll | None:
        """What it asks of the ledger; None where raters are not told apart."""
        return Poll(self.params.tie) if self.rule.weight is not None else None


@dataclass(frozen=True)
class Vote(Generic[Value]):
    """Whose an answer is, and what it counts for; `rater` is missing where it has no name."""

    rater: Value
    weight: Value


@dataclass(frozen=True)
class Solicited(Generic[Value]):
    """By which query an answer was asked for, and with what probability; missing where unsaid."""

    query_id: Value
    probability: Value


@dataclass(frozen=True)
class Reading(Generic[Value]):
    """What an event says of one target, if it `counts`; `reward` is missing for labels."""

    counts: Value
    target: Value
    value: Value
    reward: Value


@dataclass(frozen=True)
class Question:
    """One metric of a loop: which events answer it, what they say, and whom they are about.

    `credit` is None where an answer is whole for each inference that it reaches, `consensus`
    where the loop asks for none, so that the last answer counts.
    """

    model: str
    signal: Signal
    level: Level
    rule: Rule
    negative: str
    threshold: float | None = None
    credit: Credit | None = None
    consensus: Consensus | None = None

    def by_rater(self) -> Question:
        """The same question, asked so that raters are told apart."""
        if self.rule.poll is not None:
            return self
        told = Consensus(majority.ENTRY, base.Params())
        return replace(self, consensus=told, rule=replace(self.rule, poll=told.poll))

    def vote(self, on: Terms[Value]) -> Vote[Value] | None:
        """Whose word an event is; None where raters are not told apart."""
        if self.consensus is None or self.consensus.rule.weight is None:
            return None
        rater = _rater(on, self.signal)
        return Vote(rater.name, self.consensus.rule.weight(on, rater, self.consensus.params))

    def voice(self, on: Terms[Value]) -> Value:
        """Who says it, and of what part: what near-duplicates share; missing if they need not.

        The source is that of `processor.measure.arrivals`: a rater, else a client, else a service.
        """
        if self.rule.near is None:
            return on.missing()
        service = _named(on, "source")
        if self.signal.kind is None:
            return service
        who = on.first(_named(on, "rater_id"), _named(on, "client_hash"), service)
        nothing = on.literal("")
        parts = (on.first(on.field(name), nothing) for name in ("candidate_id", "item_id"))
        return on.joined("|", who, *parts)

    def solicited(self, on: Terms[Value]) -> Solicited[Value]:
        """How an event came to be said; the world's facts come unasked."""
        if self.signal.kind is None:
            return Solicited(on.missing(), on.missing())
        return Solicited(on.field("query_id"), on.number("solicit_prob"))

    def asks(self, on: Terms[Value]) -> Value:
        """Whether an event is of the metric, kind and level that answer it; never missing."""
        return on.every(*self._asked(on))

    def blank(self, on: Terms[Value]) -> Value:
        """Whether an event that it asks for has no value, or names nothing that it could be about.

        Never missing.
        """
        answers = (reading.counts for reading in self.readings(on))
        return on.every(self.asks(on), on.no(on.some(*answers)))

    def readings(self, on: Terms[Value]) -> list[Reading[Value]]:
        """What an event says; nothing counts that is of another kind, metric or level."""
        return [self._reading(on, said) for said in self.signal.said]

    def _reading(self, on: Terms[Value], said: Said) -> Reading[Value]:
        found = said.value(on)
        key = self.level.event_key
        target = said.target(on) if key is None else on.field(key)
        retracts = on.equal(on.field("op"), on.literal(RETRACT))
        speaks = on.choose(retracts, on.literal(True), on.given(found))
        about = on.no(on.equal(target, on.literal("")))  # what has no name shares none
        counts = on.every(*self._asked(on), about, speaks)
        if self.signal.becomes != NUMBER:
            return Reading(counts, target, found, on.missing())
        return Reading(counts, target, self._named(on, found), found)

    def _asked(self, on: Terms[Value]) -> list[Value]:
        asked = [on.equal(on.field("metric"), on.literal(self.rule.metric))]
        if self.signal.kind is not None:
            asked.append(on.equal(on.field("kind"), on.literal(self.signal.kind)))
        if self.level.symbols:
            asked.append(on.among(on.field("level"), self.level.symbols))
        return asked

    def _named(self, on: Terms[Value], number: Value) -> Value:
        """The number as text; or the label that the threshold makes of it."""
        if self.threshold is None or self.rule.positive is None:
            return on.text(number)
        reached = on.at_least(number, on.literal(self.threshold))
        label = on.choose(reached, on.literal(self.rule.positive), on.literal(self.negative))
        return on.choose(on.given(number), label)


def questions(loop: LoopConfig) -> list[Question]:
    """Every metric of a loop, that of its datasets first.

    Raises:
        ConfigError: an unknown signal, level or rule of credit, or ones that do not go together.
    """
    found = [
        question_of(loop, told, where)
        for told, where in (
            (loop.outcome, "outcome"),
            *((each, f"outcomes.{number}") for number, each in enumerate(loop.outcomes)),
        )
    ]
    names = [each.rule.metric for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"the loop {loop.loop!r} asks for {twice[0]!r} twice", remedy="rename one metric"
        )
    return found


def question_of(loop: LoopConfig, told: OutcomeConfig, where: str = "outcome") -> Question:
    """One metric of a loop; raises ConfigError as `questions` does."""
    place = f"the loop {loop.loop!r}, {where}"
    signal = _signal(told, place)
    level = _level(told, signal, place)
    _check(told, signal, place)
    if told.scale is not None:
        signal = signal.scaled(*told.scale)
    sided = signal.becomes == LABEL or told.threshold is not None
    silence = told.negative if told.default == "negative" else None
    consensus = _consensus(told, place, sided=sided)
    poll = consensus.poll if consensus else None
    positive = told.positive if sided else None
    near = loop.arrivals.near if loop.arrivals.near_policy == "first" else None
    rule = Rule(told.metric, told.window, told.grace, positive, silence, told.late, poll, near)
    credit = _credit(told, level, place)
    how = (told.negative, told.threshold, credit, consensus)
    return Question(loop.model, signal, level, rule, *how)


def _signal(told: OutcomeConfig, place: str) -> Signal:
    if told.signal is None and told.source is None:
        raise ConfigError(f"{place} names no signal", remedy="write `signal: NAME`")
    signal = SIGNALS[told.signal or DEFAULT_SIGNALS[str(told.source)]]
    if told.source not in (None, signal.source):
        raise ConfigError(
            f"{place}: the signal {signal.name!r} does not come from {told.source}",
            remedy=f"write `from: {signal.source}`, or leave it out",
        )
    return signal


def _level(told: OutcomeConfig, signal: Signal, place: str) -> Level:
    level = level_of(told.level, signal.source)
    if told.session_gap is None:
        return level
    if level.name != "session":
        raise ConfigError(
            f"{place}: an answer of the level {level.name!r} is about no session",
            remedy="leave `session_gap` out, or write `level: session`",
        )
    return by_gap(level, told.session_gap)


def _check(told: OutcomeConfig, signal: Signal, place: str) -> None:
    if told.threshold is not None and signal.becomes != NUMBER:
        raise ConfigError(
            f"{place}: the signal {signal.name!r} is a {signal.becomes}, it reaches no threshold",
            remedy="leave `threshold` out",
        )
    if told.threshold is not None:
        _check_threshold(told.threshold, signal, place)
    if told.scale is not None and signal.on_scale is None:
        raise ConfigError(
            f"{place}: the signal {signal.name!r} has no scale",
            remedy="leave `scale` out, or write `signal: rating`",
        )
    if told.default is not None and signal.becomes != LABEL and told.threshold is None:
        raise ConfigError(
            f"{place}: a {signal.becomes} is never negative, so silence is not",
            remedy="give a number a `threshold`, or leave `default` out",
        )
    if signal.said[0] != Said(signal.said[0].value) and told.level != "inference":
        raise ConfigError(
            f"{place}: the signal {signal.name!r} names its inferences itself",
            remedy="write `level: inference`",
        )


def _check_threshold(threshold: float, signal: Signal, place: str) -> None:
    low, high = signal.bounds
    if not low < threshold <= high:
        whose = "every" if threshold <= low else "no"
        raise ConfigError(
            f"{place}: {whose} value of {signal.name!r} reaches the threshold {threshold:g}: "
            f"they go from {low:g} to {high:g}",
            remedy=f"write a `threshold` above {low:g}, and up to {high:g}",
        )


def _credit(told: OutcomeConfig, level: Level, place: str) -> Credit | None:
    if not level.shared:
        if told.credit is not None:
            raise ConfigError(
                f"{place}: an answer of the level {level.name!r} is not divided",
                remedy="leave `credit` out, or write `level: session`",
            )
        return None
    params = dict(told.credit or {})
    name = params.pop("rule", None)
    if name is None:
        choices = ", ".join(sorted(rule.name for rule in CREDIT_RULES))
        raise ConfigError(
            f"{place}: an answer of a whole {level.name} needs a rule of credit",
            remedy=f"write `credit: {{rule: NAME}}` with one of {choices}",
        )
    rule = CREDIT_RULES[str(name)]
    return Credit(rule, checked(rule.params, params, f"{place}.credit"))


def _consensus(told: OutcomeConfig, place: str, *, sided: bool) -> Consensus | None:
    if told.consensus is None:
        return None
    params = dict(told.consensus)
    rule = CONSENSUS_RULES[str(params.pop("rule", "last"))]
    found = Consensus(rule, checked(rule.params, params, f"{place}.consensus"))
    if found.poll is not None and found.poll.tie in ("positive", "negative") and not sided:
        raise ConfigError(
            f"{place}: no value of {told.metric!r} is {found.poll.tie}, so none wins a tie for it",
            remedy="write `tie: last`, or leave `tie` out",
        )
    return found


def _rater(on: Terms[Value], signal: Signal) -> Rater[Value]:
    """Who says so; of a fact about the world, where it is from."""
    if signal.kind is None:
        return Rater(on.field("label_source"), on.missing(), on.missing())
    return Rater(on.field("rater_id"), on.field("rater_kind"), on.number("rater_confidence"))


def _named(on: Terms[Value], field: str) -> Value:
    """An id with the name of its field, so that those of two fields differ; missing if empty."""
    name = on.field(field)
    return on.choose(on.no(on.equal(name, on.literal(""))), on.joined(":", on.literal(field), name))
