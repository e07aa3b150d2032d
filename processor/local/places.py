"""Where things are kept on this machine: nothing is written outside of these and the checkout."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "BFP_CACHE"


def cache_dir() -> Path:
    """The cache folder: `$BFP_CACHE`, else as the XDG base directories have it."""
    if told := os.environ.get(CACHE_VARIABLE):
        return Path(told).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "batch-feedback-processor"
