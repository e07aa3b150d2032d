"""Which sources misbehave, from what was counted of each; decided for all of them at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

from processor.loops import SourcesConfig
from processor.measure import sources
from processor.measure.sources.base import SourceTest, Tally, log_mean
from processor.plugins import Registry

TESTS: Registry[SourceTest] = Registry(sources, "test of sources")
MISBEHAVING, UNREMARKABLE = "MISBEHAVING", "UNREMARKABLE"


@dataclass(frozen=True)
class Judgement:
    """`log_e`: ln of the mean of the tests' e-values; `reasons`: tests that would do alone."""

    log_e: float
    verdict: str
    reasons: tuple[str, ...]


def judged(tallies: Mapping[str, Tally], told: SourcesConfig) -> dict[str, Judgement]:
    """A judgement on each source: of those called misbehaving, a share alpha at most is honest."""
    found = {
        name: {test.name: test.log_e(tally, told) for test in TESTS}
        for name, tally in tallies.items()
    }
    logs = {name: log_mean(list(each.values())) for name, each in found.items()}
    called = e_bh(list(logs.values()), told.alpha)
    return {
        name: _judgement(logs[name], found[name], told.alpha, misbehaves=misbehaves)
        for name, misbehaves in zip(logs, called, strict=True)
    }


def e_bh(log_e: Sequence[float], alpha: float) -> list[bool]:
    """Which of several e-values are discoveries, in the order given: the e-BH procedure.

    With K of them, the k largest, for the largest k of which each is at least K / (alpha k). False
    discoveries are a share alpha at most however the e-values depend on each other, as those of
    sources that answered the same do; Benjamini and Hochberg's own procedure does not promise that.
    Source: R. Wang, A. Ramdas, JRSS B 84 (2022) 822.
    """
    ranked = sorted(log_e, reverse=True)
    bars = [log(len(ranked) / (alpha * k)) for k in range(1, len(ranked) + 1)]
    passed = [bar for each, bar in zip(ranked, bars, strict=True) if each >= bar]
    return [bool(passed) and each >= passed[-1] for each in log_e]


def _judgement(
    log_e: float, found: Mapping[str, float], alpha: float, *, misbehaves: bool
) -> Judgement:
    if not misbehaves:
        return Judgement(log_e, UNREMARKABLE, ())
    alone = sorted(name for name, each in found.items() if each >= -log(alpha))
    return Judgement(log_e, MISBEHAVING, tuple(alone))
