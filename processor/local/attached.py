"""Ending with the process that started this one, however that one ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

VARIABLE = "BFP_WITH_PARENT"
LOOK_SECONDS = 0.5
GRACE_SECONDS = 10.0  # to unwind in: a broker and a JVM stop in less
TERMINATED = 143  # how a shell reports SIGTERM


def end_with_parent() -> None:
    """From now on SIGTERM unwinds this process as SIGINT does; sent when its parent ends, if asked.

    Asked for by `BFP_WITH_PARENT=1`, as the Makefile has it: who kills make kills what it runs.
    What has not unwound within `GRACE_SECONDS` then ends at once.
    """
    signal.signal(signal.SIGTERM, _terminated)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in the background of a shell
        signal.signal(signal.SIGINT, _interrupted)
    if os.environ.get(VARIABLE) == "1":
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _terminated(*_: object) -> None:
    logging.disable()  # what libraries lose from here on is of no interest
    sys.exit(TERMINATED)


def _interrupted(*_: object) -> None:
    logging.disable()
    raise KeyboardInterrupt


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(TERMINATED)  # a callback lost the exception; what we own ends when we have
