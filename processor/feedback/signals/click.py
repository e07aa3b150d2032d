"""click: what was shown was used."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal, happened

ENTRY = Signal("click", "ENGAGEMENT", "label", (Said(happened),))
