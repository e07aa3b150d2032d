"""FeatureMetadata: what the features of a model mean, and which values they may take."""

from __future__ import annotations

from processor.checks.base import EventChecks, Rule, empty
from processor.terms import Terms, Value


def _upside_down(on: Terms[Value], feature: Value) -> Value:
    low, high = on.of(feature, "min"), on.of(feature, "max")
    return on.every(on.finite(low), on.finite(high), on.no(on.at_least(high, low)))


ENTRY = EventChecks(
    name="FeatureMetadata",
    rules=(
        empty("feature_set"),
        empty("version"),
        Rule(
            "no_features",
            "feature_set {feature_set} has no features",
            lambda on: on.equal(on.size(on.field("features")), on.literal(0)),
        ),
        Rule(
            "duplicate_feature",
            "two features of feature_set {feature_set} have the same name",
            lambda on: on.repeated(on.each(on.field("features"), "name")),
        ),
        Rule(
            "feature_range",
            "a feature of feature_set {feature_set} has its min above its max",
            lambda on: on.exists(on.field("features"), lambda each: _upside_down(on, each)),
        ),
    ),
)
