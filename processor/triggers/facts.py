"""What the rules may know of a loop as of a batch: there is nothing else, and no clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from processor.measurements import Measurement


@dataclass(frozen=True)
class TrainingEvent:
    """What became of a training; `trigger_id` is None for one that no trigger asked for."""

    action: str
    trigger_id: str | None
    model_version: str
    at: datetime


@dataclass(frozen=True)
class PastDecision:
    """What a rule of this loop said of an earlier batch; fields are columns of `decisions`."""

    batch_id: int
    rule: str
    rule_hash: str
    state: str
    trigger_id: str | None
    dedupe_key: str
    consecutive: int
    cooldown_until: datetime | None


@dataclass(frozen=True)
class Facts:
    """One loop as of one batch.

    `now` is the batch's watermark, and every time has a zone. `measurements` are those of this
    batch, of all model versions; `new_rows` counts rows of `dataset`, the loop's first, since its
    last trigger. An empty `dataset` or `baseline_version` says that the loop names none. `previous`
    are decisions of earlier batches only.
    """

    loop: str
    model_name: str
    baseline_version: str
    batch_id: int
    now: datetime
    window_start: datetime
    window_end: datetime
    measurements: tuple[Measurement, ...]
    dataset: str
    new_rows: int
    training: tuple[TrainingEvent, ...]
    previous: tuple[PastDecision, ...]

    @property
    def whom(self) -> str:
        """The model that is judged, in words."""
        version = self.baseline_version
        return f"{self.model_name} {version}" if version else self.model_name

    def judged(self) -> Iterator[Measurement]:
        """Measurements of the baseline: what a candidate does is no reason to train another.

        Where the loop names no baseline, those of every version.
        """
        return (
            one for one in self.measurements if self.baseline_version in ("", one.model_version)
        )
