"""GroundTruth: what the world answered, and when that was known."""

from __future__ import annotations

from processor.checks.base import (
    REVISION,
    EventChecks,
    Rule,
    before,
    blank,
    empty,
    not_finite,
    one_value,
    stands,
    unknown,
)

ENTRY = EventChecks(
    name="GroundTruth",
    rules=(
        Rule(
            "missing_target",
            "neither inference_id nor entity_key is given",
            lambda on: on.every(blank(on, "inference_id"), blank(on, "entity_key")),
        ),
        empty("metric"),
        Rule(
            "not_one_value",
            "{op} needs exactly one of value_num, value_bool and value_str",
            lambda on: on.every(stands(on), on.no(one_value(on))),
        ),
        not_finite("value_num"),
        before("known_before_event", later="known_time", earlier="event_time"),
        unknown("maturity"),
        *REVISION,
    ),
)
