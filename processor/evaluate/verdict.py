"""The verdict on a candidate: what is to be done with it, and the sentence that says why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from processor.evaluate.paired import PairedCounts
from processor.loops import EvaluationConfig, LoopConfig
from processor.measurements import INSUFFICIENT, OVERALL, Measurement

PROMOTE = "PROMOTE"  # better, and nowhere worse by more than is allowed
HOLD = "HOLD"  # neither shown to be better nor to be too bad: wait for more rows
REJECT = "REJECT"  # worse by more than is allowed, beyond chance

DIFFERENCE = "accuracy_difference"
VERDICT = "verdict"
CONFIDENCE = 0.95  # of intervals where a loop has no gates; else it is 1 - alpha


def verdict(
    loop: LoopConfig, baseline: str, candidate: str, by_slice: Mapping[str, PairedCounts]
) -> list[Measurement]:
    """The difference in accuracy (candidate minus baseline) on every slice, then the verdict.

    `by_slice` has the slice `all`, unless there are no rows. Slices with fewer rows than the
    loop's `min_slice_rows` have no value and no say.
    """
    blank = Measurement(
        loop=loop.loop,
        model_name=loop.model,
        model_version=candidate,
        metric=DIFFERENCE,
        slice=OVERALL,
        window="all",
        n=0,
        reference=baseline,
    )
    gates, least = loop.evaluation, loop.min_slice_rows
    confidence = 1 - gates.alpha if gates else CONFIDENCE
    found = [
        _difference(replace(blank, slice=name), by_slice[name], least, confidence)
        for name in sorted(by_slice)
    ]
    enough = {name: counts for name, counts in by_slice.items() if counts.n >= least}
    overall = by_slice.get(OVERALL, PairedCounts(0, 0, 0, 0))
    judged = replace(blank, metric=VERDICT, n=overall.n)
    if gates is None:
        return [*found, _insufficient(judged, "the loop has no evaluation section, so no gates")]
    needed = max(gates.min_pairs, least)
    if overall.n < needed:
        return [*found, _insufficient(judged, f"{overall.n} rows, fewer than {needed}")]
    word, reason = _judge(gates, enough)
    said = _difference(judged, overall, least, confidence)
    return [*found, replace(said, verdict=word, reason=reason)]


def _difference(
    blank: Measurement, counts: PairedCounts, least: int, confidence: float
) -> Measurement:
    counted = replace(blank, n=counts.n)
    if counts.n < least:
        return _insufficient(counted, f"{counts.n} rows, fewer than {least}")
    low, high = counts.interval(confidence)
    return replace(counted, value=counts.difference, ci_low=low, ci_high=high, p=counts.p)


def _insufficient(blank: Measurement, reason: str) -> Measurement:
    return replace(blank, verdict=INSUFFICIENT, reason=reason)


def _judge(gates: EvaluationConfig, slices: Mapping[str, PairedCounts]) -> tuple[str, str]:
    """REJECT before HOLD before PROMOTE: too bad is shown, doubt waits, and better is shown.

    A slice too bad at its best estimate, but not beyond chance, is a doubt: to reject for it
    would reject a candidate as good as the baseline wherever slices are many and small.
    """
    confidence = 1 - gates.alpha
    for name, counts in sorted(slices.items()):
        if counts.interval(confidence)[1] < -_margin(gates, name):
            return REJECT, f"{_said(name, counts, confidence)}: too bad, beyond chance"
    overall = slices[OVERALL]
    said = _said(OVERALL, overall, confidence)
    if overall.interval(confidence)[0] <= -gates.margin:
        return HOLD, f"{said}: may still be worse by {gates.margin:g}"
    for name, counts in sorted(slices.items()):
        if counts.difference < -_margin(gates, name):
            return HOLD, f"{_said(name, counts, confidence)}: too bad, unless by chance"
    if overall.difference <= 0 or overall.p > gates.alpha:
        return HOLD, f"{said}, p {overall.p:.3g}: not shown to be better"
    return PROMOTE, f"{said}, p {overall.p:.3g}: better, and no slice fails"


def _margin(gates: EvaluationConfig, name: str) -> float:
    return gates.margin if name == OVERALL else gates.slice_margin


def _said(name: str, counts: PairedCounts, confidence: float) -> str:
    low, high = counts.interval(confidence)
    where = "overall" if name == OVERALL else name
    return f"{where} {counts.difference:+.4f} ({low:+.4f} to {high:+.4f}) on {counts.n} rows"
