"""What a producer sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

SERVICE = "urn:bfp:demo:employment-service"  # the source of what the model's service says


class Message(NamedTuple):
    """One message: which table's topic, who it is about, what it says; times in microseconds.

    A poisoned message is the same body, spoilt after encoding in the way that `poison` names.
    """

    table: str
    record: str
    key: str
    timestamp: int
    body: Mapping[str, Any]
    poison: str | None = None
