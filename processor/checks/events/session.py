"""SessionContext: the circumstances in which predictions were asked for."""

from __future__ import annotations

from processor.checks.base import EventChecks, before, empty, negative

ENTRY = EventChecks(
    name="SessionContext",
    rules=(
        empty("session_id"),
        negative("seq"),
        before("ended_before_started", later="ended_at", earlier="started_at"),
    ),
)
