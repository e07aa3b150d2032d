"""Files that ship with the package: schemas and default configuration."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "_resources"
_CHECKOUT = Path(__file__).parent.parent


def resource(*parts: str) -> Path:
    """The path of a shipped file or folder, the same from a wheel and from a checkout."""
    root = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    return root.joinpath(*parts)
