"""Asking again: answers that cannot stand yet, and answers that are worth waiting for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from processor.cuts import backoff

AnswerT = TypeVar("AnswerT")


def asked(
    ask: Callable[[], AnswerT],
    again: Callable[[AnswerT], bool],
    patience: timedelta,
    pause: Callable[[float], None] = time.sleep,
) -> AnswerT:
    """The answer, asked for as long as `again` says so and patience lasts; then the last one."""
    answer = ask()
    for delay in backoff(patience.total_seconds()):
        if not again(answer):
            break
        pause(delay)
        answer = ask()
    return answer
