"""Which rules an event has to keep."""

from __future__ import annotations

from processor.checks import events
from processor.checks.base import HEADER, EventChecks, Rule
from processor.plugins import Registry

CHECKS: Registry[EventChecks] = Registry(events, "event type")


def rules(record: str) -> tuple[Rule, ...]:
    """The rules of a record, those of the header first; raises ConfigError on an unknown one."""
    return (*HEADER, *CHECKS[record].rules)
