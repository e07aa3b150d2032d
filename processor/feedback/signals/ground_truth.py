"""ground_truth: what happened in the world."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal, spoken

ENTRY = Signal("ground_truth", None, "label", (Said(spoken),))
