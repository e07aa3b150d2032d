"""One run at a time on a warehouse."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processor.errors import BatchHeld, Unavailable

LOCK = ".bfp.lock"


@contextmanager
def held(root: str) -> Iterator[None]:
    """Holds the warehouse while the block runs; the system lets go when the process dies.

    On a local file system this is an own lock, since Delta promises no more there than what
    `rename` gives. On an object store Delta's commit is the compare-and-set, and this is nothing.

    Raises:
        BatchHeld: another process holds it.
        Unavailable: the folder cannot be made or written.
    """
    if "://" in root:
        yield
        return
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        handle = os.open(Path(root) / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Unavailable(
            f"the warehouse {root} cannot be written: {error.strerror}",
            remedy="make the folder writable, or set `warehouse` to another place",
        ) from error
    try:
        _take(handle, root)
        yield
    finally:
        os.close(handle)


def _take(handle: int, root: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        raise BatchHeld(
            f"another run (process {holder}) is at work on {root}",
            remedy="let it finish; a run that died holds nothing",
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
