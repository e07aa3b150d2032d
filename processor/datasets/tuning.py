"""Which policy makes the most of a budget of labels, by what past answers say. Pure.

Every past outcome stands for w = 1 / (the probability of its log entry x that of having been asked
for) inferences, so what policies that never ran would have come to is evaluated on what others
collected. No Spark: an outcome is told by its cell alone, in sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

from processor.datasets.chain import Chain, Link
from processor.datasets.sampling.base import Policy

Z = 1.959963984540054  # of a two-sided 95 % interval
ROUNDING = 1e-9  # by which sums of the same numbers in another order may differ


class Sums(NamedTuple):
    """Past outcomes of one cell: Σw, Σwy and Σwy², with y what is to be estimated."""

    w: float
    wy: float
    wyy: float


Cells = Mapping[tuple[str, ...], Sums]
"""Past outcomes by the cell that each policy of a chain puts them in."""


class Span(NamedTuple):
    """From the batch that said it to the one that said something else; None: it is still so."""

    known_by: int
    until: int | None


Spans = Mapping[Span, Cells]
"""Past outcomes by when they were so."""


@dataclass(frozen=True)
class Expected:
    """What a policy would come to: how many labels, and the variance of the mean then.

    `told` is what a loop file would say. `worth` is how many labels a uniform choice would need for
    the same variance; None where all outcomes are alike, and any says as much.
    """

    told: Mapping[str, Any]
    labels: float
    variance: float
    worth: float | None

    @property
    def half_width(self) -> float:
        """Of the 95 % interval."""
        return half_width(self.variance)


def half_width(variance: float) -> float:
    """Half the width of the 95 % interval of a mean."""
    return Z * sqrt(variance)


def together(cells: Cells) -> Sums:
    """All past outcomes."""
    return Sums(*(sum(each) for each in zip(*cells.values(), strict=True)))


def by_then(spans: Spans, batch: int) -> Cells:
    """What was known by a batch, as it was known then."""
    found: dict[tuple[str, ...], Sums] = {}
    for span, cells in spans.items():
        if span.known_by <= batch and (span.until is None or batch < span.until):
            for name, each in cells.items():
                so_far = found.get(name, Sums(0.0, 0.0, 0.0))
                found[name] = Sums(*(a + b for a, b in zip(so_far, each, strict=True)))
    return found


def spreads(cells: Cells) -> dict[tuple[str, ...], float]:
    """The root of the mean square distance from the mean of all, by cell.

    To choose in proportion to it makes Hájek's mean most exact, where each row is drawn by itself:
    Neyman's allocation, but that the mean of a stratum is not known to the estimate.
    """
    everyone = together(cells)
    mean = everyone.wy / everyone.w
    return {name: sqrt(_squares(each, mean) / each.w) for name, each in cells.items()}


def with_budget(chain: Chain, rows: int) -> Chain:
    """The chain, its last policy choosing that many; a policy without a number stays as it is."""
    *first, last = chain.links
    if "rows" not in type(last.params).model_fields:
        return chain
    asked = {**last.params.model_dump(exclude_unset=True), "rows": rows}
    asked.pop("rate", None)
    return Chain((*first, Link(last.policy, last.policy.params(**asked))), chain.min_effective)


def expected(chain: Chain, cells: Cells, population: float) -> tuple[float, float]:
    """How many of `population` inferences are asked about, and the variance of the mean then.

    Σ (1 - π) / π · (y - mean)² / N², over a population of N that is like the past outcomes.
    Source: C.-E. Särndal, B. Swensson, J. Wretman, Model Assisted Survey Sampling (1992), 5.7.
    """
    everyone = together(cells)
    mean, scale = everyone.wy / everyone.w, population / everyone.w
    chances = chain.allot({name: each.w * scale for name, each in cells.items()})
    labels = sum(chances[name] * each.w for name, each in cells.items()) * scale
    squares = sum(
        (1 - chances[name]) / chances[name] * _squares(each, mean) for name, each in cells.items()
    )
    return labels, squares * scale / population**2


def uniform_labels(variance: float, cells: Cells, population: float) -> float | None:
    """How many labels of a uniform choice have that variance: the root of its formula."""
    everyone = together(cells)
    squares = _squares(everyone, everyone.wy / everyone.w) / everyone.w
    if squares == 0:
        return None
    return 1 / (variance / squares + 1 / population)


def learned(policy: Policy, params: Any, cells: Cells) -> Any:  # noqa: ANN401  # any parameters
    """The parameters, with what past outcomes say of each cell of the policy alone."""
    return policy.learned(params, {name: spread for (name,), spread in spreads(cells).items()})


def best(found: Sequence[Expected]) -> Expected | None:
    """The least variance; of those that are the same but for rounding the first."""
    least = min((each.variance for each in found), default=0.0)
    return next((each for each in found if each.variance <= least * (1 + ROUNDING)), None)


def _squares(each: Sums, mean: float) -> float:
    """Σw (y - mean)², never below 0."""
    return max(0.0, each.wyy - 2 * mean * each.wy + mean**2 * each.w)


class Answered(NamedTuple):
    """The answered requests of a batch, by their probability π: sums over the answers.

    `asked` and `answered` are numbers of requests, and `inferences` Σ1/π of those asked.
    """

    asked: int
    answered: int
    inferences: float
    w: float
    wy: float
    wyy: float
    ww: float
    wwy: float
    wwyy: float


class Realised(NamedTuple):
    """What answers came to: the mean, and its variance."""

    mean: float
    variance: float


def realised(told: Answered) -> Realised | None:
    """Hájek's mean of what was answered, as if who answered were a matter of chance alone.

    None with fewer than two answers. With r the share that was answered, each was there with rπ:
    Σ (1 - rπ) / (rπ)² · (y - mean)² / N², over the answers.
    """
    if told.answered < 2:  # noqa: PLR2004  # one answer has no spread
        return None
    rate, mean = told.answered / told.asked, told.wy / told.w
    once = _squares(Sums(told.w, told.wy, told.wyy), mean)
    twice = _squares(Sums(told.ww, told.wwy, told.wwyy), mean)
    return Realised(mean, max(0.0, twice - rate * once) / told.w**2)
