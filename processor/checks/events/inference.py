"""InferenceEvent: what a model said, and how it came to say it."""

from __future__ import annotations

from processor.checks.base import (
    EventChecks,
    Rule,
    absent,
    before,
    below,
    blank,
    empty,
    negative,
    not_finite,
    outside,
    probability,
    says,
    unknown,
)
from processor.terms import Terms, Value

CLASS_PROBS_TOLERANCE = 1e-3  # how far from 1 the probabilities of all classes may sum


def _some_of(on: Terms[Value], field: str) -> Value:
    """Whether a list or a map has any items."""
    return on.at_least(on.size(on.field(field)), on.literal(1))


def _answered(on: Terms[Value], task: str) -> Value:
    return on.every(says(on, "task", task), says(on, "status", "OK"))


def _range_off(on: Terms[Value]) -> Value:
    return on.exists(on.values(on.field("class_probs")), lambda p: outside(on, p, 0.0, 1.0))


def _sum_off(on: Terms[Value]) -> Value:
    total = on.total(on.values(on.field("class_probs")))
    off = outside(on, total, 1 - CLASS_PROBS_TOLERANCE, 1 + CLASS_PROBS_TOLERANCE)
    return on.every(_some_of(on, "class_probs"), off)


def _label_not_a_class(on: Terms[Value]) -> Value:
    known = on.holds(on.keys(on.field("class_probs")), on.field("pred_label"))
    return on.every(_some_of(on, "class_probs"), on.no(known))


def _feature_not_finite(on: Terms[Value]) -> Value:
    return on.some(
        on.exists(on.values(on.field("features_num")), lambda x: on.no(on.finite(x))),
        on.exists(
            on.values(on.field("features_vec")),
            lambda vector: on.exists(vector, lambda x: on.no(on.finite(x))),
        ),
    )


def _shown_not_a_candidate(on: Terms[Value]) -> Value:
    ids = on.each(on.field("candidates"), "candidate_id")
    known = on.holds(ids, on.field("shown_candidate_id"))
    return on.every(_some_of(on, "candidates"), on.no(known))


def _negative_rank(on: Terms[Value]) -> Value:
    ranks = on.each(on.field("candidates"), "rank")
    return on.exists(ranks, lambda rank: below(on, rank, on.literal(0)))


def _propensities_off(on: Terms[Value]) -> Value:
    chances = on.each(on.field("candidates"), "propensity")
    return on.exists(chances, lambda chance: outside(on, chance, 0.0, 1.0))


ENTRY = EventChecks(
    name="InferenceEvent",
    rules=(
        empty("inference_id"),
        empty("model_name"),
        empty("model_version"),
        unknown("task"),
        unknown("role"),
        unknown("status"),
        before("response_before_event", later="response_time", earlier="event_time"),
        Rule(
            "missing_pred_label",
            "a CLASSIFICATION that is OK has no pred_label",
            lambda on: on.every(_answered(on, "CLASSIFICATION"), blank(on, "pred_label")),
        ),
        Rule(
            "missing_pred_value",
            "a REGRESSION that is OK has no pred_value",
            lambda on: on.every(_answered(on, "REGRESSION"), absent(on, "pred_value")),
        ),
        not_finite("pred_value"),
        Rule(
            "class_probs_range",
            "class_probs {class_probs} has a probability outside [0, 1]",
            _range_off,
        ),
        Rule("class_probs_sum", "class_probs {class_probs} does not sum to 1", _sum_off),
        Rule(
            "label_not_in_class_probs",
            "pred_label {pred_label} is no key of class_probs",
            _label_not_a_class,
        ),
        probability("propensity"),
        probability("log_keep_prob"),
        Rule("feature_not_finite", "a numeric feature is NaN or infinite", _feature_not_finite),
        Rule(
            "duplicate_candidate",
            "two candidates have the same candidate_id",
            lambda on: on.repeated(on.each(on.field("candidates"), "candidate_id")),
        ),
        Rule("negative_rank", "a candidate's rank is below 0", _negative_rank),
        Rule(
            "candidate_propensity_range",
            "a candidate's propensity is outside [0, 1]",
            _propensities_off,
        ),
        Rule(
            "shown_not_a_candidate",
            "shown_candidate_id {shown_candidate_id} is none of the candidates",
            _shown_not_a_candidate,
        ),
        negative("step_index"),
        negative("input_tokens"),
        negative("output_tokens"),
    ),
)
