"""What a signal is, and what more than one of them say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from processor.terms import Formula, Terms, Value

Becomes = Literal["label", "number", "text"]
LABEL, NUMBER, TEXT = "label", "number", "text"
Scale = Literal["nominal", "ordinal", "interval"]
"""Whether two values differ, also which is more, or also by how much."""


def inference_id(on: Terms[Value]) -> Value:
    """The inference that an event names."""
    return on.field("inference_id")


@dataclass(frozen=True)
class Said:
    """What an event says of the inference that `target` names; a missing value says nothing."""

    value: Formula
    target: Formula = inference_id


@dataclass(frozen=True)
class Signal:
    """A kind of answer: which events it reads, and what each of them comes to.

    `kind` is a symbol of FeedbackEvent's `kind`, None for events of GroundTruth. A `label` is a
    text held against the loop's `positive`; its reward is 1 or 0. A `number` is a double and its
    own reward; a loop's `threshold` makes it a label too. A `text` is kept as it is, and is no
    reward. An event may say something of two inferences. `ordered` numbers have no distances.
    `on_scale` makes the value of events that may have no scale of their own, of the two ends of
    their loop's; None: its numbers are on no scale. No number is below the first of its `bounds`,
    or above the second.
    """

    name: str
    kind: str | None
    becomes: Becomes
    said: tuple[Said, ...]
    ordered: bool = False
    on_scale: Callable[[float, float], Formula] | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def scaled(self, low: float, high: float) -> Signal:
        """The same signal, for a loop that says what scale its numbers are on."""
        if self.on_scale is None:
            raise ValueError(f"the signal {self.name!r} has no scale")
        return replace(self, said=(Said(self.on_scale(low, high)),))

    @property
    def scale(self) -> Scale:
        """How far two values can be told apart."""
        if self.becomes != NUMBER:
            return "nominal"
        return "ordinal" if self.ordered else "interval"

    @property
    def source(self) -> Literal["feedback", "ground_truth"]:
        """The table of the events that it reads."""
        return "ground_truth" if self.kind is None else "feedback"


def spoken(on: Terms[Value]) -> Value:
    """The value of an event as text: its string, truth or number, whichever it has."""
    return on.first(
        on.field("value_str"), on.text(on.field("value_bool")), on.text(on.field("value_num"))
    )


def happened(on: Terms[Value]) -> Value:
    """`true`, unless the event says that it did not."""
    return on.text(on.first(on.field("value_bool"), on.literal(True)))
