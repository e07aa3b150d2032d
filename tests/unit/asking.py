"""Questions of a loop, and the events that answer them, as plain as they can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from processor.feedback import Outcome, Question, known, questions, read, served
from processor.loops import LoopConfig

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Event = dict[str, Any]


def asked(signal: str, **told: Any) -> Question:  # noqa: ANN401  # any key
    outcome = {"metric": "m", "signal": signal, "window": "1h", **told}
    return questions(loop(outcome=outcome))[0]


def loop(**told: Any) -> LoopConfig:  # noqa: ANN401  # any key
    base = {"loop": "l", "model": "bot", "outcome": {"metric": "m", "window": "1h"}}
    return LoopConfig.model_validate({**base, **told})


def said(minute: float = 0, **told: Any) -> Event:  # noqa: ANN401  # any field
    base = {"event_id": "e", "event_time": T0 + minute * MINUTE, "metric": "m"}
    return {**base, "level": "INFERENCE", "inference_id": "i", **told}


def output(name: str, minute: float = 0, **told: Any) -> Event:  # noqa: ANN401  # any field
    base = {"inference_id": name, "event_time": T0 + minute * MINUTE, "session_id": "s"}
    base |= {"role": "PRIMARY", "status": "OK", "model_name": "bot", "model_version": "1"}
    return {**base, **told}


def outcomes(
    outputs: list[Event], events: list[Event], question: Question, mark: datetime | None = None
) -> dict[str, Outcome]:
    answers = [answer for event in events for answer in read(event, question)]
    seen = [one for each in outputs if (one := served(each, question)) is not None]
    return known(seen, answers, question, mark)
