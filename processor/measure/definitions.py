"""What features mean, from when until when: of all that was said of a model's features. Pure.

A feature set has versions, each valid from a time on, until the next is; of two that are valid from
the same time on, the one that was said last counts. A feature that two sets define is what the set
says that was valid last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Definition(NamedTuple):
    """What values a feature may have; `required`: it may not be absent."""

    name: str
    low: float | None
    high: float | None
    allowed: tuple[str, ...]
    required: bool


class Span(NamedTuple):
    """The definitions that are valid in `[start, end)`; an end of None is open."""

    start: datetime
    end: datetime | None
    features: tuple[Definition, ...]


def spans(events: Sequence[Row], model: str) -> list[Span]:
    """The times in which other definitions are valid, in order, without gaps.

    `events`: valid rows of `feature_sets`, in order of arrival.
    """
    mine = sorted(_of(events, model), key=lambda event: event["valid_from"])  # stable
    cuts = [*sorted({event["valid_from"] for event in mine}), None]
    return [Span(start, end, _valid(mine, start)) for start, end in pairwise(cuts)]


def protected(events: Sequence[Row], model: str) -> frozenset[str]:
    """The features that any definition calls protected, whenever it is valid."""
    features = (each for event in _of(events, model) for each in event["features"])
    return frozenset(each["name"] for each in features if each["is_protected"])


def _of(events: Iterable[Row], model: str) -> list[Row]:
    """The events that are about the model, or about any; each counts once, as it first arrived."""
    first: dict[str, Row] = {}
    for event in events:
        if event["model_name"] in (None, model):
            first.setdefault(event["event_id"], event)
    return list(first.values())


def _valid(events: Iterable[Row], at: datetime) -> tuple[Definition, ...]:
    sets: dict[str, Row] = {}
    for event in events:
        if event["valid_from"] <= at:
            sets.pop(event["feature_set"], None)  # the set that was valid last is looked at last
            sets[event["feature_set"]] = event
    found = {
        each["name"]: _definition(each) for event in sets.values() for each in event["features"]
    }
    return tuple(found[name] for name in sorted(found))


def _definition(told: Row) -> Definition:
    allowed = tuple(told["allowed_values"] or ())
    return Definition(told["name"], told["min"], told["max"], allowed, not told["nullable"])
