"""Which code this is: the version, and a digest of the source files that decide results."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

VERSION = "0.1.0"
_DIGITS = 12


@cache
def code_version() -> str:
    """`VERSION+DIGEST`; two checkouts with the same sources have the same."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return f"{VERSION}+{digest.hexdigest()[:_DIGITS]}"
