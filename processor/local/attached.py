"""Ending with the process that started this one, however that one ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

VARIABLE = "BFP_ENDS_WITH"
LOOK_SECONDS = 0.5
GRACE_SECONDS = 10.0  # to unwind in: a broker and a JVM stop in less
TERMINATED = 143  # how a shell reports SIGTERM


def end_when_asked() -> None:
    """From now on SIGTERM unwinds this process as SIGINT does; it is sent when our leader ends.

    The leader is the process whose number `BFP_ENDS_WITH` holds, make in the Makefile: who kills
    make kills what it runs, at any depth and from its first moment. So does whoever kills the
    process between. What has not unwound within `GRACE_SECONDS` then ends at once.
    """
    signal.signal(signal.SIGTERM, _terminated)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in the background of a shell
        signal.signal(signal.SIGINT, _interrupted)
    if (leader := os.environ.get(VARIABLE, "")).isdecimal():
        threading.Thread(target=_watch, args=(int(leader), os.getppid()), daemon=True).start()


def _terminated(*_: object) -> None:
    logging.disable()  # what libraries lose from here on is of no interest
    sys.exit(TERMINATED)


def _interrupted(*_: object) -> None:
    logging.disable()
    raise KeyboardInterrupt


def _watch(leader: int, parent: int) -> None:
    while os.getppid() == parent and _runs(leader):
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(TERMINATED)  # a callback lost the exception; what we own ends when we have


def _runs(pid: int) -> bool:
    """Whether the process is there, and is more than what its parent has yet to take note of."""
    import psutil  # noqa: PLC0415  # only who watches needs it: commands start without

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
