"""FeedbackEvent: what somebody said of a prediction, at its level and by its kind.

An event that retracts another needs no value of its own.
"""

from __future__ import annotations

from processor.checks.base import (
    REVISION,
    UNKNOWN,
    EventChecks,
    Rule,
    absent,
    blank,
    empty,
    negative,
    not_finite,
    one_value,
    probability,
    says,
    share,
    stands,
    unknown,
)
from processor.terms import Terms, Value

ONE_VALUE = ("RATING", "LABEL")
"""The kinds that say a number, a truth or a text: exactly one of them."""

ON_A_SCALE = ("RATING", "REWARD")
"""The kinds whose number has to be on its scale, where the event gives one."""


def _target(field: str, *levels: str) -> Rule:
    """The id without which feedback of these levels is about nothing."""
    return Rule(
        f"missing_{field}",
        f"the level {{level}} needs {field}",
        lambda on: on.every(says(on, "level", *levels), blank(on, field)),
    )


def _no_session(on: Terms[Value]) -> Value:
    """A loop may tell sessions by the pauses of their subject, and then none has a name."""
    return on.every(says(on, "level", "SESSION"), blank(on, "session_id"), blank(on, "subject_key"))


def _no_step(on: Terms[Value]) -> Value:
    return on.every(says(on, "level", "STEP"), blank(on, "inference_id"), blank(on, "episode_id"))


def _value_missing(on: Terms[Value]) -> Value:
    nothing_ranked = on.equal(on.size(on.field("ranking")), on.literal(0))
    nothing_said = on.every(blank(on, "content_json"), blank(on, "value_str"))
    missing = on.some(
        on.every(says(on, "kind", "THUMBS"), absent(on, "value_bool")),
        on.every(says(on, "kind", "REWARD"), absent(on, "value_num")),
        on.every(says(on, "kind", "PREFERENCE"), absent(on, "preference")),
        on.every(says(on, "kind", "RANKING"), nothing_ranked),
        on.every(says(on, "kind", "CORRECTION", "DEMONSTRATION", "COMMENT"), nothing_said),
    )
    return on.every(stands(on), missing)


def _not_one_value(on: Terms[Value]) -> Value:
    return on.every(stands(on), says(on, "kind", *ONE_VALUE), on.no(one_value(on)))


def _empty_scale(on: Terms[Value]) -> Value:
    low, high = on.field("scale_min"), on.field("scale_max")
    endless = on.some(on.no(on.finite(low)), on.no(on.finite(high)))
    return on.every(
        says(on, "kind", *ON_A_SCALE),
        on.some(endless, on.at_least(on.number("scale_min"), on.number("scale_max"))),
    )


def _off_scale(on: Terms[Value]) -> Value:
    """An end that is not given limits nothing."""
    value, low, high = on.number("value_num"), on.number("scale_min"), on.number("scale_max")
    off = on.some(on.no(on.at_least(value, low)), on.no(on.at_least(high, value)))
    return on.every(says(on, "kind", *ON_A_SCALE), off)


def _of_one(on: Terms[Value]) -> Value:
    """One candidate of one inference; the candidates of two inferences may have the same name."""
    a, b = (on.field(f"preference.{side}_inference_id") for side in "ab")
    same = on.equal(on.field("preference.a_id"), on.field("preference.b_id"))
    return on.every(same, on.no(on.every(on.given(a), on.given(b), on.no(on.equal(a, b)))))


ENTRY = EventChecks(
    name="FeedbackEvent",
    rules=(
        unknown("level"),
        _target("inference_id", "INFERENCE", "CANDIDATE"),
        _target("candidate_id", "CANDIDATE"),
        Rule(
            "missing_session_id", "the level SESSION needs session_id or subject_key", _no_session
        ),
        _target("episode_id", "EPISODE"),
        Rule("missing_step", "the level STEP needs inference_id or episode_id", _no_step),
        unknown("kind"),
        empty("metric"),
        Rule("missing_value", "a {kind} without the value that it needs", _value_missing),
        Rule(
            "not_one_value",
            "a {kind} needs exactly one of value_num, value_bool and value_str",
            _not_one_value,
        ),
        not_finite("value_num"),
        Rule("empty_scale", "the scale [{scale_min}, {scale_max}] has no length", _empty_scale),
        Rule(
            "value_off_scale",
            "value_num {value_num} is outside [{scale_min}, {scale_max}]",
            _off_scale,
        ),
        Rule(
            "unknown_preference",
            f"the outcome of the preference is {UNKNOWN}",
            lambda on: says(on, "preference.outcome", UNKNOWN),
        ),
        Rule("preference_of_one", "both sides of the preference are the same", _of_one),
        Rule(
            "duplicate_ranking",
            "the ranking names a candidate twice",
            lambda on: on.repeated(on.field("ranking")),
        ),
        *REVISION,
        probability("solicit_prob"),
        share("rater_confidence"),
        share("discount"),
        negative("dwell_ms"),
        negative("reaction_ms"),
        negative("position"),
    ),
)
