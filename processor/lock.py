"""One run at a time on a warehouse, and none that was stopped for longer than its lease."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from processor.config import BatchConfig
from processor.errors import BatchHeld, Unavailable
from processor.processes import end

LOCK = ".bfp.lock"
LEASE = BatchConfig().lease
BEATS = 4  # times in a lease that a holder shows that it is alive
SAME_START_SECONDS = 1.0  # clocks of one machine tell a process's start no more than this apart
MOST_BYTES = 4096  # of the note in the lock file
TAKEN_SECONDS = 10.0  # how long the system may take to free the lock of a process that ended
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Holder:
    """The process that holds a warehouse; `started` tells it from a later one of its number."""

    host: str
    pid: int
    started: float

    @classmethod
    def own(cls) -> Holder:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def process(self) -> psutil.Process | None:
        """The process, if it is on this machine and still there."""
        if self.host != socket.gethostname():
            return None
        with suppress(psutil.Error):
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.started) < SAME_START_SECONDS:
                return found
        return None


@contextmanager
def held(root: str, lease: timedelta = LEASE) -> Iterator[None]:
    """Holds the warehouse while the block runs; the system lets go when the process dies.

    On a local file system this is an own lock, since Delta promises no more there than what
    `rename` gives. A holder that shows no life for a whole `lease` was stopped: the next run ends
    it for good, so that it cannot wake up and commit, and takes the lock. On an object store
    Delta's commit is the compare-and-set, and this is nothing.

    Raises:
        BatchHeld: another process holds it.
        Unavailable: the folder cannot be made or written.
    """
    if "://" in root:
        yield
        return
    handle = _opened(root)
    try:
        _take(handle, root, lease)
        with _beating(handle, lease):
            yield
    finally:
        os.close(handle)


def _opened(root: str) -> int:
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
        return os.open(Path(root) / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Unavailable(
            f"the warehouse {root} cannot be written: {error.strerror}",
            remedy="make the folder writable, or set `warehouse` to another place",
        ) from error


def _take(handle: int, root: str, lease: timedelta) -> None:
    if not _locked(handle):
        holder = _noted(handle)
        if not _expired(handle, lease) or not _ended(holder) or not _freed(handle):
            named = f"process {holder.pid} on {holder.host}" if holder else "unknown"
            raise BatchHeld(
                f"another run ({named}) is at work on {root}",
                remedy="let it finish; a run that died holds nothing",
            )
    note = json.dumps(asdict(Holder.own())).encode()
    os.ftruncate(handle, 0)
    os.pwrite(handle, note, 0)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _noted(handle: int) -> Holder | None:
    """Who wrote the lock file; None while somebody is about to."""
    try:
        return Holder(**json.loads(os.pread(handle, MOST_BYTES, 0)))
    except (ValueError, TypeError):
        return None


def _expired(handle: int, lease: timedelta) -> bool:
    return time.time() - os.fstat(handle).st_mtime > lease.total_seconds()


def _ended(holder: Holder | None) -> bool:
    """Ends the holder, if it is a process of this machine."""
    process = holder.process() if holder else None
    if process is None:
        return False
    end(process)
    return True


def _freed(handle: int) -> bool:
    until = time.monotonic() + TAKEN_SECONDS
    while time.monotonic() < until:
        if _locked(handle):
            return True
        time.sleep(LOOK_SECONDS)
    return False


@contextmanager
def _beating(handle: int, lease: timedelta) -> Iterator[None]:
    """Shows in the lock file's time, while the block runs, that this process does."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(lease.total_seconds() / BEATS):
            os.utime(handle)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
