"""How the training program can fail."""

from __future__ import annotations


class RefusedError(Exception):
    """The trigger's dataset cannot be used, today or tomorrow."""


class OutsideDownError(Exception):
    """The broker or the registry does not answer; starting again later may help."""
