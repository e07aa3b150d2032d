"""GroundTruth: what the world answered, and when that was known."""

from __future__ import annotations

from processor.checks.base import (
    REVISION,
    EventChecks,
    Rule,
    before,
    blank,
    empty,
    stands,
    unknown,
    values_said,
)

ENTRY = EventChecks(
    name="GroundTruth",
    rules=(
        Rule(
            "missing_target",
            "neither inference_id nor entity_key is given",
            lambda event, _: blank(event["inference_id"]) & blank(event["entity_key"]),
        ),
        empty("metric"),
        Rule(
            "not_one_value",
            "{op} needs exactly one of value_num, value_bool and value_str",
            lambda event, _: stands(event) & (values_said(event) != 1),
        ),
        before("known_before_event", later="known_time", earlier="event_time"),
        unknown("maturity"),
        *REVISION,
    ),
)
