"""Quality of a binary classifier, from confusion counts and sums of log loss. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from processor.loops import LoopConfig
from processor.measure.intervals import normal_mean, wilson
from processor.measurements import INSUFFICIENT, Measurement

if TYPE_CHECKING:  # counting needs Spark; what is made of the counts must not load it
    from processor.measure.counts import Window

_SPREAD = 2  # rows that an interval of a mean needs


class QualityCounts(NamedTuple):
    """Known rows of one model version, window and slice; the sums are null where nothing is.

    `log_loss_n` rows said a probability of what happened; their losses are in nats.
    """

    n: int
    tp: int
    fp: int
    fn: int
    tn: int
    log_loss_sum: float | None
    log_loss_sq_sum: float | None
    log_loss_n: int


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
    recall those that are. No value where the slice has fewer rows than the loop asks for.
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
    few = _too_few(counts.n, loop.min_slice_rows)
    held = None if reference_accuracy is None else reference
    compared = replace(blank, reference=held, reference_value=reference_accuracy)
    right, said, true = counts.tp + counts.tn, counts.tp + counts.fp, counts.tp + counts.fn
    yield _share(replace(compared, metric="accuracy"), right, counts.n, few)
    nothing = "nothing was called positive" if not said else None
    yield _share(replace(blank, metric="precision"), counts.tp, said, few or nothing)
    nothing = "nothing was positive" if not true else None
    yield _share(replace(blank, metric="recall"), counts.tp, true, few or nothing)
    yield _log_loss(replace(blank, metric="log_loss"), counts, loop.min_slice_rows)


def _too_few(n: int, least: int) -> str | None:
    return f"{n} rows, fewer than {least}" if n < least else None


def _share(blank: Measurement, hits: int, of: int, missing: str | None) -> Measurement:
    if missing is not None:
        return replace(blank, n=of, verdict=INSUFFICIENT, reason=missing)
    low, high = wilson(hits, of)
    return replace(blank, n=of, value=hits / of, ci_low=low, ci_high=high)


def _log_loss(blank: Measurement, counts: QualityCounts, least: int) -> Measurement:
    n, total, squares = counts.log_loss_n, counts.log_loss_sum, counts.log_loss_sq_sum
    few = _too_few(n, max(least, _SPREAD))
    if few is not None or total is None or squares is None:
        reason = f"the probability of what happened: {few}"
        return replace(blank, n=n, verdict=INSUFFICIENT, reason=reason)
    low, high = normal_mean(total, squares, n)
    # No loss is below 0, however the normal curve reaches.
    return replace(blank, n=n, value=total / n, ci_low=max(0.0, low), ci_high=high)
