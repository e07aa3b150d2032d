"""ErasureRequest: whose data must go, and what they are found by."""

from __future__ import annotations

from processor.checks.base import EventChecks, empty, unknown

ENTRY = EventChecks(
    name="ErasureRequest",
    rules=(empty("request_id"), unknown("scope"), empty("target_key")),
)
