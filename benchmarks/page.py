"""Tables of the page, in Markdown, that every part has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.targets import Judged

SAID = {True: "reached", False: "**missed**", None: "not measured"}


def targets(judged: Iterable[Judged]) -> Iterator[str]:
    """Every target beside what was measured, and those that are missed once more."""
    listed = list(judged)
    yield "| target | bound | measured | |"
    yield "|---|---|---:|---|"
    for each in listed:
        measured = "" if each.measured is None else f"{each.measured:.2f}"
        yield f"| {each.what} | {each.bound} | {measured} | {SAID[each.reached]} |"
    missed = [each.what for each in listed if each.reached is False]
    yield ""
    yield f"Missed: {'; '.join(missed)}." if missed else "No target is missed."
