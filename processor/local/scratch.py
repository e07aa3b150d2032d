"""A folder for what Spark writes on the side, in the cache, and gone when the process ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from processor.errors import Unavailable
from processor.local.places import cache_dir


@contextmanager
def scratch() -> Iterator[Path]:
    """This process's folder; those of processes that were killed are removed first.

    Raises:
        Unavailable: the cache folder cannot be written.
    """
    root = cache_dir() / "tmp"
    folder = root / str(os.getpid())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"the cache folder {root} cannot be written: {error.strerror}",
            remedy="make room or set BFP_CACHE to another folder, and try again",
        ) from error
    for left in root.iterdir():
        if left.name.isdigit() and not psutil.pid_exists(int(left.name)):
            shutil.rmtree(left, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
