"""ModelLifecycle: what became of a model version."""

from __future__ import annotations

from processor.checks.base import EventChecks, empty, share, unknown

ENTRY = EventChecks(
    name="ModelLifecycle",
    rules=(
        empty("model_name"),
        empty("model_version"),
        unknown("action"),
        share("traffic_share"),
    ),
)
