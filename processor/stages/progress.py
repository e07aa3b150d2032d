"""How far stages have come, by their own commits and by those of the stages after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from processor.stages.base import Stage
from processor.stages.pipeline import STAGES, Written


def past(found: Iterable[Written], stage: Stage) -> int:
    """The batch up to which a stage has said all.

    Either it has committed that itself, or a later stage has committed to any of its tables: it
    runs only after this one. So a table that lost its newest commits does not answer for itself.
    """
    listed = list(found)
    own = min(each.batch for each in listed if each.stage is stage)
    return max([own, *(each.batch for each in listed if _after(each.stage, stage))])


def behind(found: Sequence[Written]) -> Iterator[tuple[Written, int]]:
    """Tables that lack a commit which later stages have gone past, and how far these have come."""
    for each in found:
        if each.batch < (upto := past(found, each.stage)):
            yield each, upto


def _after(one: Stage, other: Stage) -> bool:
    return STAGES.index(one) > STAGES.index(other)
