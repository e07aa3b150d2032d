"""What charts are drawn with: escaped elements, and scales with round ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

MAX_TICKS = 6
_FLAT = 1e-12  # a span below this holds one value


def element(tag: str, *inner: str, text: str | None = None, **attributes: str | float) -> str:
    """One element; `inner` is markup, `text` is not and is escaped, as attributes are.

    An attribute's `_` stands for `-`, a last one (`class_`) for nothing.
    """
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_written(value))}"'
        for name, value in attributes.items()
    )
    body = "".join(inner) + (escape(text) if text is not None else "")
    return f"<{tag}{said}>{body}</{tag}>"


def _written(value: str | float) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def drawing(width: float, height: float, label: str, *inner: str) -> str:
    """A drawing that is as wide as its place, with `label` for who cannot see it."""
    box = f"0 0 {width:g} {height:g}"
    return element("svg", *inner, viewBox=box, role="img", aria_label=label)


class Scale(NamedTuple):
    """Values `[low, high]` onto `[start, end]` of the drawing; values outside stay on its edge."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where `value` is drawn."""
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def scale(values: Sequence[float], start: float, end: float) -> tuple[Scale, list[float]]:
    """A scale that holds all `values` between round ticks, and the ticks."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low < _FLAT:
        margin = abs(high) * 0.1 or 1.0
        low, high = low - margin, high + margin
    step = _step(high - low)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [round(step * each, 12) for each in range(first, last + 1)]
    return Scale(ticks[0], ticks[-1], start, end), ticks


def _step(span: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that divides `span` into few enough ticks."""
    rough = span / (MAX_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= rough)


def thinned(values: Sequence[int], most: int) -> list[int]:
    """At most about `most` of `values`, evenly, the last among them."""
    every = math.ceil(len(values) / most) if values else 1
    return list(values[::-1][::every][::-1])


def labels(ticks: Sequence[float]) -> list[str]:
    """The text at each tick, all with as many decimals as the finest needs."""
    decimals = max((len(f"{each:.10f}".rstrip("0").partition(".")[2]) for each in ticks), default=0)
    return [f"{each:,.{decimals}f}" for each in ticks]
