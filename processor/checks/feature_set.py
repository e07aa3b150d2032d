"""FeatureMetadata: what the features of a model mean, and which values they may take."""

from __future__ import annotations

from pyspark.sql import functions as F

from processor.checks.base import EventChecks, Rule, empty, repeated

ENTRY = EventChecks(
    name="FeatureMetadata",
    rules=(
        empty("feature_set"),
        empty("version"),
        Rule(
            "no_features",
            "feature_set {feature_set} has no features",
            lambda event, _: F.size(event["features"]) == 0,
        ),
        Rule(
            "duplicate_feature",
            "two features of feature_set {feature_set} have the same name",
            lambda event, _: repeated(event["features"]["name"]),
        ),
        Rule(
            "feature_range",
            "a feature of feature_set {feature_set} has its min above its max",
            lambda event, _: F.exists(
                event["features"], lambda feature: feature["min"] > feature["max"]
            ),
        ),
    ),
)
