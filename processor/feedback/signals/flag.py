"""flag: somebody objects; `positive: "false"` makes an objection the negative outcome."""

from __future__ import annotations

from processor.feedback.signals.base import Said, Signal, happened

ENTRY = Signal("flag", "FLAG", "label", (Said(happened),))
