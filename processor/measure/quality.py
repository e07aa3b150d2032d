"""Quality of a binary classifier, from confusion counts and sums of log loss. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from processor.loops import LoopConfig
from processor.measure.intervals import normal_mean, wilson
from processor.measure.weighted import Weighed, WeightedCounts, mean_loss, share
from processor.measurements import INSUFFICIENT, Measurement

if TYPE_CHECKING:  # counting needs Spark; what is made of the counts must not load it
    from processor.measure.counts import Window

_SPREAD = 2  # rows that an interval of a mean needs


class QualityCounts(NamedTuple):
    """Known rows of one model version, window and slice; the sums are null where nothing is.

    `log_loss_n` rows said a probability of what happened; their losses are in nats. `weighted` is
    None where each row stands for itself alone.
    """

    n: int
    tp: int
    fp: int
    fn: int
    tn: int
    log_loss_sum: float | None
    log_loss_sq_sum: float | None
    log_loss_n: int
    weighted: WeightedCounts | None = None


def quality(
    counts: QualityCounts,
    *,
    loop: LoopConfig,
    model_version: str,
    slice_name: str,
    window: Window,
    reference: str | None,
    reference_accuracy: float | None,
) -> Iterator[Measurement]:
    """Accuracy, precision, recall and log loss, each with the 95 % interval its rows support.

    `n` is what the value is a share or mean of: for precision the rows called positive, for
    recall those that are. No value where the slice has fewer rows than the loop asks for. Where
    rows stand for unequally many, they are weighed, and `effective_n` has to reach that number too.
    """
    blank = Measurement(
        loop=loop.loop,
        model_name=loop.model,
        model_version=model_version,
        metric="",
        slice=slice_name,
        window=window.name,
        n=0,
        window_start=window.start,
        window_end=window.end,
    )
    few = _too_few(counts, loop.min_slice_rows)
    held = None if reference_accuracy is None else reference
    compared = replace(blank, reference=held, reference_value=reference_accuracy)
    for metric, cells in SHARES.items():
        told = replace(compared if metric == "accuracy" else blank, metric=metric)
        yield _share(told, counts, cells, few)
    yield _log_loss(replace(blank, metric="log_loss"), counts, loop.min_slice_rows)


class Cells(NamedTuple):
    """The cells of a confusion matrix that a share counts, and those it counts them among.

    `nothing` says what it means that there is no row in any of them.
    """

    hits: tuple[str, ...]
    misses: tuple[str, ...]
    nothing: str


SHARES = {
    "accuracy": Cells(("tp", "tn"), ("fp", "fn"), "no rows"),
    "precision": Cells(("tp",), ("fp",), "nothing was called positive"),
    "recall": Cells(("tp",), ("fn",), "nothing was positive"),
}


def _too_few(counts: QualityCounts, least: int) -> str | None:
    if counts.n < least or counts.weighted is None:
        return _fewer(counts.n, least)
    return _fewer_effective(counts.weighted.mass("tp", "fp", "fn", "tn").effective, counts.n, least)


def _fewer(n: int, least: int) -> str | None:
    return f"{n} rows, fewer than {least}" if n < least else None


def _fewer_effective(effective: float, n: int, least: int) -> str | None:
    return (
        f"{effective:.1f} effective rows of {n}, fewer than {least}" if effective < least else None
    )


def _share(
    blank: Measurement, counts: QualityCounts, cells: Cells, missing: str | None
) -> Measurement:
    hits, misses = (sum(getattr(counts, cell) for cell in part) for part in cells[:2])
    of = hits + misses
    if missing is not None or not of:
        return replace(blank, n=of, verdict=INSUFFICIENT, reason=missing or cells.nothing)
    if counts.weighted is not None:
        return _weighed(blank, of, share(*(counts.weighted.mass(*part) for part in cells[:2])))
    low, high = wilson(hits, of)
    return replace(blank, n=of, value=hits / of, ci_low=low, ci_high=high)


def _log_loss(blank: Measurement, counts: QualityCounts, least: int) -> Measurement:
    n, total, squares = counts.log_loss_n, counts.log_loss_sum, counts.log_loss_sq_sum
    few = _fewer(n, max(least, _SPREAD))
    if few is None and counts.weighted is not None:
        few = _fewer_effective(counts.weighted.mass("said").effective, n, least)
    if few is not None or total is None or squares is None:
        reason = f"the probability of what happened: {few}"
        return replace(blank, n=n, verdict=INSUFFICIENT, reason=reason)
    if counts.weighted is not None:
        return _weighed(blank, n, mean_loss(counts.weighted, n))
    low, high = normal_mean(total, squares, n)
    # No loss is below 0, however the normal curve reaches.
    return replace(blank, n=n, value=total / n, ci_low=max(0.0, low), ci_high=high)


def _weighed(blank: Measurement, n: int, found: Weighed) -> Measurement:
    return replace(
        blank,
        n=n,
        value=found.value,
        ci_low=found.low,
        ci_high=found.high,
        effective_n=found.effective,
    )
