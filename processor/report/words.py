"""Numbers and times as people read them; the page and the summary use the same words."""

from __future__ import annotations

from datetime import datetime

NOTHING = "\u2013"  # an en dash: the place is empty on purpose
SMALLEST_P = 0.001  # below this a p-value says no more than that it is small

_ALARMS = {"DRIFT", "REJECT", "FIRED", "FAILED"}


def alarming(verdict: str | None) -> bool:
    """Whether a verdict asks for attention; the word itself is always shown beside."""
    return verdict is not None and verdict.upper() in _ALARMS


def number(value: float | None) -> str:
    """A count, with thousands separators."""
    return NOTHING if value is None else f"{value:,.0f}"


def decimal(value: float | None) -> str:
    """A measured value, to three decimals; small ones to two digits."""
    if value is None:
        return NOTHING
    if value != 0 and abs(value) < 0.001:  # noqa: PLR2004  # what three decimals cannot show
        return f"{value:.2g}"
    return f"{value:,.3f}"


def share(value: float | None) -> str:
    """A part of a whole, in percent."""
    return NOTHING if value is None else f"{100 * value:.1f}%"


def chance(value: float | None) -> str:
    """A p- or q-value."""
    if value is None:
        return NOTHING
    return f"<{SMALLEST_P}" if value < SMALLEST_P else f"{value:.3f}"


def interval(low: float | None, high: float | None) -> str:
    """A confidence interval."""
    return NOTHING if low is None or high is None else f"{decimal(low)} to {decimal(high)}"


def when(value: str | None) -> str:
    """An ISO 8601 time as date and minute, UTC."""
    if value is None:
        return NOTHING
    return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC"


def seconds(value: float | None) -> str:
    """A span in seconds."""
    return NOTHING if value is None else f"{value:,.1f} s"


def size(value: float | None) -> str:
    """Bytes, in the largest unit that leaves a number above one."""
    if value is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004  # the step of decimal units
            return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count and its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
