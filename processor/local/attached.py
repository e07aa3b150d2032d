"""Ending with the process that started this one, however that one ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

VARIABLE = "BFP_WITH_PARENT"
LOOK_SECONDS = 0.5
TERMINATED = 143  # how a shell reports SIGTERM


def end_with_parent() -> None:
    """From now on SIGTERM unwinds this process; it is sent when the parent ends, if asked for.

    Asked for by `BFP_WITH_PARENT=1`, as the Makefile has it: who kills make kills what it runs.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    if os.environ.get(VARIABLE) == "1":
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
