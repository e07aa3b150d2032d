"""What keeps a rule from firing though its condition is met. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from processor.triggers.facts import Facts, TrainingEvent

FIRED = "FIRED"  # the state of a decision that sent a trigger out
STARTED = "TRAINING_STARTED"
ENDED = frozenset({"REGISTERED", "TRAINING_FAILED"})
TRAINING_LOST = timedelta(days=30)  # a training silent for so long has died and blocks no more


class Hold(NamedTuple):
    """Why not now, and the dedupe key of the trigger that stands in the way, if one does."""

    reason: str
    dedupe_key: str | None = None


def batches_before(facts: Facts, rule_hash: str) -> int:
    """In how many batches in a row, up to the one before this, the rule's condition was met."""
    last = (facts.batch_id - 1, rule_hash)
    counts = (p.consecutive for p in facts.previous if (p.batch_id, p.rule_hash) == last)
    return max(counts, default=0)


def too_few(consecutive: int, needed: int) -> Hold | None:
    """The condition has not been met in enough batches in a row."""
    if consecutive >= needed:
        return None
    return Hold(f"met in {consecutive} of {needed} batches in a row")


def cooling(facts: Facts) -> Hold | None:
    """A trigger of any rule cools all rules of its loop, until `cooldown_until`, exclusive."""
    until, past = max(
        ((p.cooldown_until, p) for p in facts.previous if p.state == FIRED and p.cooldown_until),
        key=lambda pair: (pair[0], pair[1].batch_id),
        default=(facts.now, None),
    )
    if past is None or until <= facts.now:
        return None
    since = f"since {past.rule} fired in batch {past.batch_id}"
    return Hold(f"cooling down until {_said(until)} {since}", past.dedupe_key)


def in_flight(facts: Facts) -> Hold | None:
    """A training has started, has not ended, and has not been silent for `TRAINING_LOST`."""
    for start in sorted(facts.training, key=lambda event: event.at, reverse=True):
        if start.action == STARTED and _running(start, facts):
            keys = (p.dedupe_key for p in facts.previous if p.trigger_id == start.trigger_id)
            asked_for = next(keys, None) if start.trigger_id else None
            since = f"in training since {_said(start.at)}"
            return Hold(f"version {start.model_version} is {since}", asked_for)
    return None


def _running(start: TrainingEvent, facts: Facts) -> bool:
    """An end at the very time of the start is its end: replays give both one time."""
    ends = (e for e in facts.training if e.action in ENDED and _same_training(e, start))
    over = any(end.at >= start.at for end in ends)
    return not over and facts.now - start.at < TRAINING_LOST


def _same_training(one: TrainingEvent, other: TrainingEvent) -> bool:
    """By the trigger, where both name one; else by the version that comes of it."""
    if one.trigger_id and other.trigger_id:
        return one.trigger_id == other.trigger_id
    return one.model_version == other.model_version


def _said(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
