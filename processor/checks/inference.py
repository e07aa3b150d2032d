"""InferenceEvent: what a model said, and how it came to say it."""

from __future__ import annotations

import math

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.checks.base import (
    EventChecks,
    Rule,
    before,
    blank,
    empty,
    outside,
    probability,
    repeated,
    unknown,
)

CLASS_PROBS_TOLERANCE = 1e-3  # how far from 1 the probabilities of all classes may sum


def _finite(number: Column) -> Column:
    # NaN is larger than infinity to Spark, so one comparison finds both.
    return F.abs(number) < math.inf


def _label_missing(event: Column, _stamp: Column) -> Column:
    classified = (event["task"] == "CLASSIFICATION") & (event["status"] == "OK")
    return classified & blank(event["pred_label"])


def _sum_off(event: Column, _stamp: Column) -> Column:
    probs = F.map_values(event["class_probs"])
    total = F.aggregate(probs, F.lit(0.0), lambda so_far, p: so_far + p)
    return (F.size(probs) > 0) & (F.abs(total - 1) > CLASS_PROBS_TOLERANCE)


def _label_not_a_class(event: Column, _stamp: Column) -> Column:
    probs = event["class_probs"]
    return (F.size(probs) > 0) & ~F.map_contains_key(probs, event["pred_label"])


def _feature_not_finite(event: Column, _stamp: Column) -> Column:
    number = F.exists(F.map_values(event["features_num"]), lambda x: ~_finite(x))
    vector = F.exists(
        F.map_values(event["features_vec"]),
        lambda values: F.exists(values, lambda x: ~_finite(x)),
    )
    return number | vector


def _shown_not_a_candidate(event: Column, _stamp: Column) -> Column:
    ids = event["candidates"]["candidate_id"]
    return (F.size(ids) > 0) & ~F.array_contains(ids, event["shown_candidate_id"])


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
        Rule("missing_pred_label", "a CLASSIFICATION that is OK has no pred_label", _label_missing),
        Rule(
            "class_probs_range",
            "class_probs {class_probs} has a probability outside [0, 1]",
            lambda event, _: F.exists(
                F.map_values(event["class_probs"]), lambda p: outside(p, 0, 1)
            ),
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
            lambda event, _: repeated(event["candidates"]["candidate_id"]),
        ),
        Rule(
            "negative_rank",
            "a candidate's rank is below 0",
            lambda event, _: F.exists(event["candidates"]["rank"], lambda rank: rank < 0),
        ),
        Rule(
            "shown_not_a_candidate",
            "shown_candidate_id {shown_candidate_id} is none of the candidates",
            _shown_not_a_candidate,
        ),
    ),
)
