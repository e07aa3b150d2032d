"""label: somebody says what is right."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal, spoken

ENTRY = Signal("label", "LABEL", "label", (Said(spoken),))
