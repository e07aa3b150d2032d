"""What stages know of the definitions of features, as of a batch."""

from __future__ import annotations

from collections.abc import Iterator

from processor.batches import Batch
from processor.feedback.outcomes import PLACE, first_by
from processor.loops import LoopConfig
from processor.measure import definitions
from processor.measure.skew import counted as counted_twice
from processor.measure.skew import skew
from processor.measure.violations import counted, shares
from processor.measurements import Measurement
from processor.stages.base import Context
from processor.stages.lookup import Row, arrived
from processor.stages.sources import inferences, shadowed, shadows
from processor.tables import TYPED


def violations(context: Context, loop: LoopConfig, batch: Batch) -> Iterator[Measurement]:
    """How often the features that the batch brought are not what their definitions say."""
    spans = definitions.spans(_said(context, batch), loop.model)
    if not spans:
        return
    news = inferences(context, loop, batch, after=batch.id - 1)
    found = counted(news, spans).collect()
    for row in sorted(found, key=lambda row: (row["model_version"], row["feature"])):
        yield from shares(loop, row.asDict())


def skews(context: Context, loop: LoopConfig, batch: Batch) -> Iterator[Measurement]:
    """How far features that the batch's shadows were given are from those that were served.

    A shadow may be of a request of any age, so all inferences are looked at, in such a batch only.
    """
    if not shadowed(context, loop, batch):
        return
    news = shadows(context, loop, batch, after=batch.id - 1)
    served, again = (
        first_by(frame.select(*_TOLD, *PLACE), "inference_id")
        for frame in (inferences(context, loop, batch), news)
    )
    found = counted_twice(served, again).collect()
    for row in sorted(found, key=lambda row: (row["model_version"], row["feature"])):
        yield skew(loop, row.asDict())


_TOLD = ("inference_id", "request_id", "model_version", "features_num", "features_str")


def protected(context: Context, loop: LoopConfig, batch: Batch) -> frozenset[str]:
    """The features of the loop's model that never become columns of a dataset."""
    return definitions.protected(_said(context, batch), loop.model)


def _said(context: Context, batch: Batch) -> list[Row]:
    """Every valid definition as of the batch, in order of arrival."""
    return [
        row for row in arrived(context.rows(TYPED["feature_sets"], batch)) if not row["defects"]
    ]
