"""last: the last answer that stands wins, whoever gave it."""

from __future__ import annotations

from processor.feedback.consensus.base import ConsensusRule, NoParams

ENTRY = ConsensusRule("last", NoParams, None)
