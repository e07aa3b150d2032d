"""FeedbackEvent: what somebody said of a prediction, at its level and by its kind.

An event that retracts another needs no value of its own.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.checks.base import (
    REVISION,
    UNKNOWN,
    EventChecks,
    Rule,
    absent,
    blank,
    empty,
    negative,
    probability,
    share,
    stands,
    unknown,
    values_said,
)

ONE_VALUE = ("RATING", "LABEL")
"""The kinds that say a number, a truth or a text: exactly one of them."""


def _target(field: str, *levels: str) -> Rule:
    """The id without which feedback of these levels is about nothing."""
    return Rule(
        f"missing_{field}",
        f"the level {{level}} needs {field}",
        lambda event, _: event["level"].isin(*levels) & blank(event[field]),
    )


def _value_missing(event: Column, _stamp: Column) -> Column:
    kind = event["kind"]
    content = blank(event["content_json"]) & blank(event["value_str"])
    missing = (
        absent(event["value_bool"], kind == "THUMBS")
        | absent(event["value_num"], kind == "REWARD")
        | absent(event["preference"], kind == "PREFERENCE")
        | ((kind == "RANKING") & (F.size(event["ranking"]) == 0))
        | (kind.isin("CORRECTION", "DEMONSTRATION", "COMMENT") & content)
    )
    return stands(event) & missing


def _off_scale(event: Column, _stamp: Column) -> Column:
    value, low, high = event["value_num"], event["scale_min"], event["scale_max"]
    # An end that is not given limits nothing; NaN is on no scale.
    off = F.isnan(value) | F.coalesce(value < low, F.lit(False)) | (value > high)
    return (event["kind"] == "RATING") & off


ENTRY = EventChecks(
    name="FeedbackEvent",
    rules=(
        unknown("level"),
        _target("inference_id", "INFERENCE", "CANDIDATE"),
        _target("candidate_id", "CANDIDATE"),
        _target("session_id", "SESSION"),
        _target("episode_id", "EPISODE"),
        Rule(
            "missing_step",
            "the level STEP needs inference_id or episode_id",
            lambda event, _: (
                (event["level"] == "STEP")
                & blank(event["inference_id"])
                & blank(event["episode_id"])
            ),
        ),
        unknown("kind"),
        empty("metric"),
        Rule("missing_value", "a {kind} without the value that it needs", _value_missing),
        Rule(
            "not_one_value",
            "a {kind} needs exactly one of value_num, value_bool and value_str",
            lambda event, _: (
                stands(event) & event["kind"].isin(*ONE_VALUE) & (values_said(event) != 1)
            ),
        ),
        Rule(
            "empty_scale",
            "the scale [{scale_min}, {scale_max}] has no length",
            lambda event, _: (
                (event["kind"] == "RATING") & ~(event["scale_min"] < event["scale_max"])
            ),
        ),
        Rule(
            "value_off_scale",
            "value_num {value_num} is outside [{scale_min}, {scale_max}]",
            _off_scale,
        ),
        Rule(
            "unknown_preference",
            f"the outcome of the preference is {UNKNOWN}",
            lambda event, _: event["preference"]["outcome"] == UNKNOWN,
        ),
        *REVISION,
        probability("solicit_prob"),
        share("rater_confidence"),
        negative("dwell_ms"),
        negative("reaction_ms"),
        negative("position"),
    ),
)
