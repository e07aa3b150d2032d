"""What is counted of sources, in plain Python: each rater held against the others, one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import floor, log
from typing import NamedTuple

from processor.loops import SourcesConfig
from processor.measure.sources.base import STAKES, Tally
from processor.simulate.raters import Crowd, Ratings


class Compared(NamedTuple):
    """One answer, its match with the majority of the others, and what was to be expected."""

    value: str
    match: Fraction
    expected: Fraction
    chance: Fraction


def match(value: str, others: Sequence[str]) -> Fraction:
    """1 for the value that most others gave, 1 / k if k values are tied, else 0."""
    counts = Counter(others)
    top = max(counts.values())
    tied = [each for each, n in counts.items() if n == top]
    return Fraction(value in tied, len(tied))


def compare(unit: Mapping[str, str]) -> dict[str, Compared]:
    """Everybody who answered one question, by source."""
    matches = {
        name: match(value, [v for n, v in unit.items() if n != name])
        for name, value in unit.items()
    }
    mean = sum(matches.values(), Fraction(0)) / len(unit)
    counts = Counter(unit.values())
    return {
        name: Compared(value, matches[name], mean, Fraction(counts[value], len(unit)))
        for name, value in unit.items()
    }


def tally(found: Iterable[Compared], told: SourcesConfig, **paces: int) -> Tally:
    """The tally of one source."""
    rows = list(found)
    bets = [0] * len(STAKES)
    alike = []
    for row in rows:
        dissent = told.tolerance * float(1 - row.expected)
        for place, stake in enumerate(STAKES):
            if 0 < dissent < 1:
                gain = 1 - stake + stake * float(1 - row.match) / dissent
                bets[place] += floor(log(gain) * 1e9)
        alike.append(floor(-log(1 - float(1 - row.chance) / told.tolerance) * 1e9))
    values = {row.value for row in rows}
    return Tally(
        **paces,
        compared=len(rows),
        matched=float(sum(row.match for row in rows)),
        expected=float(sum(row.expected for row in rows)),
        bets=tuple(bets),
        only=values.pop() if len(values) == 1 else None,
        sameness=sum(alike),
        most=max(alike, default=0),
    )


def tallies(them: Crowd, ratings: Ratings, told: SourcesConfig) -> dict[str, Tally]:
    """Everybody's tally, all at once; a source is `rater:kind:number`."""
    names = [f"rater:{kind}:{number}" for number, kind in enumerate(them.kinds)]
    units: dict[int, dict[str, str]] = defaultdict(dict)
    minutes: dict[str, Counter[int]] = defaultdict(Counter)
    fast: Counter[str] = Counter()
    for question, rater, yes, reaction, at in zip(
        *(each.tolist() for each in ratings), strict=True
    ):
        units[question][names[rater]] = str(yes).lower()
        minutes[names[rater]][at // 60] += 1
        fast[names[rater]] += reaction < told.reaction_ms
    compared = defaultdict(list)
    for unit in units.values():
        for name, row in compare(unit).items():
            compared[name].append(row)
    return {
        name: tally(
            compared[name],
            told,
            answers=minutes[name].total(),
            timed=minutes[name].total(),
            fast=fast[name],
            minutes=len(minutes[name]),
            crowded=sum(n > told.per_minute for n in minutes[name].values()),
        )
        for name in minutes
    }
