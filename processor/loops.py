"""The loop files: what a model's answers mean, and what follows from them."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from processor.checked import checked
from processor.errors import ConfigError
from processor.layers import read
from processor.plugins import nearest
from processor.sections import Duration, Name, Names, Section, Share, Time, written_as


class OutcomeConfig(Section):
    """What makes an inference known.

    `signal` says how an event becomes a value, `level` how it finds its inferences, `session_gap`
    after what pause a subject's next inference is of another session, `credit` how an answer
    is divided among those that share it, `scale` what the numbers of events without a scale of
    their own are on, `threshold` from which number on it is positive, `consensus` what several
    raters come to.
    After `late` beyond the window and the grace, an inference is settled: nothing changes it, and
    no batch reads it again. None: it never is, and every batch reads all that came before.
    """

    metric: Name
    source: Literal["ground_truth", "feedback"] | None = Field(default=None, alias="from")
    signal: str | None = None
    level: str = "inference"
    session_gap: Duration | None = Field(default=None, gt=timedelta(0))
    credit: dict[str, Any] | None = None
    consensus: dict[str, Any] | None = None
    scale: tuple[float, float] | None = None
    threshold: float | None = None
    window: Duration = Field(gt=timedelta(0))
    grace: Duration = timedelta(0)
    late: Duration | None = None
    default: Literal["negative"] | None = None
    positive: str = "true"
    negative: str = "false"

    @field_validator("scale")
    @classmethod
    def _a_scale_has_a_length(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and scale[0] >= scale[1]:
            low, high = scale
            raise ValueError(f"[{low}, {high}] has no length: its lower end comes first")
        return scale

    @model_validator(mode="after")
    def _two_sides_have_two_names(self) -> Self:
        """A label alone makes no negative values, so nobody has to name them."""
        sided = self.threshold is not None or self.default is not None
        named = sided or "negative" in self.model_fields_set
        if named and self.positive == self.negative:
            raise ValueError(
                f"positive and negative are both {self.positive!r}: write another for one of them"
            )
        return self


class ReferenceConfig(Section):
    """The baseline's own history: a Parquet file of labelled predictions.

    Columns: the features by name, `pred_label`, `pred_score` (of the positive label), `label`,
    and the loop's slices.
    """

    model_version: Name
    path: Path


_SIDED_BY = r"subject|session|time|(tag|feature)\..+"
_SIDES = "use subject, session, time, tag.<name> or feature.<name>"


class SplitConfig(Section):
    """How rows are divided: by what belongs together, in shares, or by when they were served.

    `by` is `subject`, `session`, `tag.<name>`, `feature.<name>` or `time`. By time, a row is in the
    split whose start it has passed; those within `embargo` before a start are left out.
    """

    by: Annotated[str, written_as(_SIDED_BY, _SIDES)] = "subject"
    validation: float = Field(default=0.1, ge=0, lt=1)
    test: float = Field(default=0.1, ge=0, lt=1)
    validation_from: Time | None = None
    test_from: Time | None = None
    embargo: Duration = timedelta(0)

    @model_validator(mode="after")
    def _either_shares_or_times(self) -> Self:
        shares, times = {"validation", "test"}, {"validation_from", "test_from", "embargo"}
        if wrong := sorted(self.model_fields_set & (shares if self.by == "time" else times)):
            raise ValueError(f"a split by {self.by} has no {wrong[0]}")
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        if self.by == "time" and self.test_from is None:
            raise ValueError("a split by time needs test_from")
        begin, end = self.validation_from, self.test_from
        if begin is not None and end is not None and begin >= end - self.embargo:
            raise ValueError("validation_from is not before test_from less the embargo")
        return self


class LeakageConfig(Section):
    """What held-out rows may have in common with rows of an earlier split.

    `limits` are shares of the held-out rows; more refuse the version. `text` names the columns
    whose near-duplicates are looked for: those of at least `similarity` (Jaccard, of shingles).
    """

    limits: dict[Literal["subject", "exact", "near"], Share] = Field(default={})
    text: Names = ()
    similarity: float = Field(default=0.8, ge=0.7, le=1)

    @model_validator(mode="after")
    def _near_needs_text(self) -> Self:
        if "near" in self.limits and not self.text:
            raise ValueError("limits.near needs the names of columns in text")
        return self


class TrustConfig(Section):
    """What becomes of answers of sources that were found misbehaving in an earlier batch.

    `weight` is what those count that are down-weighted.
    """

    misbehaving: Literal["keep", "exclude", "downweight"] = "keep"
    weight: float = Field(default=0.1, gt=0, le=1)

    @model_validator(mode="after")
    def _a_weight_is_for_downweighting(self) -> Self:
        if "weight" in self.model_fields_set and self.misbehaving != "downweight":
            raise ValueError("a weight needs `misbehaving: downweight`")
        return self


SESSION_FIELDS = ("country", "device", "locale", "app_version", "channel")
ATTRIBUTE, PROTECTED = "attributes.", "protected_attributes"


class EnrichConfig(Section):
    """What a row says besides the features that were served: the state of its session.

    `session` names what is taken of it. A state counts if it happened by the time of the inference
    and was said by then, or no more than `tolerance` later; and if it happened within `max_age`
    before the response.
    """

    session: Names = ()
    max_age: Duration = Field(default=timedelta(days=30), gt=timedelta(0))
    tolerance: Duration = Field(default=timedelta(0), ge=timedelta(0))

    @field_validator("session")
    @classmethod
    def _a_session_has_these(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name.split(".")[0] == PROTECTED:
                raise ValueError(
                    f"{name!r} is protected: such attributes never become features, they are read "
                    f"by measurements of slices only"
                )
            if name not in SESSION_FIELDS and not re.fullmatch(rf"{re.escape(ATTRIBUTE)}.+", name):
                known = (*SESSION_FIELDS, f"{ATTRIBUTE}<name>")
                raise ValueError(f"a session has no {name!r}: {nearest(name, known)}")
        return names


class LabelsConfig(Section):
    """Where a dataset has its labels from, if not from the ledger: a fit to all raters' votes."""

    consensus: Literal["dawid_skene"]


class DatasetConfig(Section):
    """One recipe: which rows become a dataset version, and in which formats.

    An incremental version is made of what became known since the one before it, a full one of
    everything that is known. `late` says whether an answer that came after its window was closed
    is the label, where it happened after what was known by then.
    """

    name: Annotated[
        str, written_as(r"[a-z0-9][a-z0-9-]*", "use a-z, 0-9 and -, a letter or digit first")
    ]
    kind: Literal["supervised"] = "supervised"
    mode: Literal["incremental", "full"] = "incremental"
    late: Literal["leave", "use"] = "leave"
    sampling: dict[str, Any] = Field(default={"policy": "all"})
    split: SplitConfig = SplitConfig()
    leakage: LeakageConfig = LeakageConfig()
    sources: TrustConfig = TrustConfig()
    enrich: EnrichConfig = EnrichConfig()
    labels: LabelsConfig | None = None
    formats: Names = Field(default=("parquet",), min_length=1)
    seed: int = Field(default=0, ge=-(1 << 63), lt=1 << 63)

    @model_validator(mode="after")
    def _fitted_labels_are_of_votes_on_time(self) -> Self:
        if self.labels is not None and self.uses_late:
            raise ValueError("labels are fitted to votes on time: `late: use` goes without them")
        return self

    @property
    def uses_late(self) -> bool:
        """Whether an answer that came late may be the label."""
        return self.late == "use"


class EvaluationConfig(Section):
    """The gates that a candidate has to pass; without them no verdict but INSUFFICIENT."""

    min_pairs: int = Field(default=1000, gt=0)
    margin: float = Field(gt=0)
    slice_margin: float = Field(gt=0)
    alpha: float = Field(default=0.05, gt=0, lt=1)


class ArrivalsConfig(Section):
    """How the events of a batch are held against each other, and against those before.

    Looked at are events that happened within `lookback` of the watermark. A near-duplicate is said
    by the same source of the same thing within `near`. A minute is a burst if a source said more
    than `burst_events` in it, and more than `burst_factor` times what it says in its median minute.
    All are measured. With `near_policy: first` a near-duplicate is no answer besides.
    """

    lookback: Duration = timedelta(days=7)
    near: Duration = timedelta(seconds=5)
    near_policy: Literal["keep", "first"] = "keep"
    burst_events: int = Field(default=30, gt=0)
    burst_factor: float = Field(default=10.0, ge=1)


class SourcesConfig(Section):
    """When a source of feedback is called misbehaving: see docs/guide/validation.md.

    `alpha`: of the sources that are called so, this share may be honest. `tolerance`: how many
    times as often as others an honest one may dissent, or as rarely. Compared is what at least
    `raters` sources answered; judged are sources of at least `least_answers`. A person needs
    `reaction_ms` to react, gives no more than `per_minute` answers in a minute, and may seem to do
    otherwise in a share `slips` of the cases.
    """

    alpha: float = Field(default=0.05, gt=0, lt=1)
    tolerance: float = Field(default=1.5, ge=1)
    raters: int = Field(default=3, ge=2)
    least_answers: int = Field(default=10, gt=0)
    reaction_ms: int = Field(default=300, gt=0)
    per_minute: int = Field(default=30, gt=0)
    slips: float = Field(default=0.05, gt=0, lt=1)


class LoopConfig(Section):
    """One feedback loop: one model, what its answers mean, and what follows from them.

    Datasets and measurements follow `outcome`; `outcomes` are further metrics in the ledger.
    """

    loop: Annotated[
        str, written_as(r"[a-z0-9][a-z0-9_-]*", "use a-z, 0-9, _ and -, a letter or digit first")
    ]
    model: Name
    task: Literal["classification"] = "classification"
    outcome: OutcomeConfig
    outcomes: tuple[OutcomeConfig, ...] = ()
    arrivals: ArrivalsConfig = ArrivalsConfig()
    sources: SourcesConfig = SourcesConfig()
    reference: ReferenceConfig | None = None
    slices: Names = ()
    min_slice_rows: int = Field(default=30, gt=0)
    windows: Names = ("batch",)
    datasets: tuple[DatasetConfig, ...] = ()
    label_requests: dict[str, Any] | None = None
    evaluation: EvaluationConfig | None = None
    rules: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _no_slice_becomes_a_feature(self) -> Self:
        """An attribute that has the name of a slice is protected, in whichever map it is."""
        for dataset in self.datasets:
            for name in dataset.enrich.session:
                if name.removeprefix(ATTRIBUTE) in self.slices:
                    raise ValueError(
                        f"the dataset {dataset.name}: enrich.session has {name!r}, which is one of "
                        f"the loop's slices: what is protected never becomes a feature"
                    )
        return self

    @model_validator(mode="after")
    def _embargoes_cover_the_window(self) -> Self:
        for dataset in self.datasets:
            split = dataset.split
            if split.by == "time" and split.embargo < self.outcome.window:
                raise ValueError(
                    f"the dataset {dataset.name}: split.embargo ({split.embargo}) is shorter than "
                    f"outcome.window ({self.outcome.window}): outcomes of one split would become "
                    f"known within the next"
                )
        return self


def loops_in(folder: Path) -> dict[str, LoopConfig]:
    """The loops of a folder, by name; raises ConfigError that names the file and the key."""
    found: dict[str, LoopConfig] = {}
    for path in sorted(folder.glob("*.yaml")):
        raw = read(path)
        if isinstance(raw.get("reference"), dict) and isinstance(raw["reference"].get("path"), str):
            anchored = os.path.normpath(path.parent / raw["reference"]["path"])
            raw["reference"] = {**raw["reference"], "path": anchored}
        loop = checked(LoopConfig, raw, str(path))
        if loop.loop in found:
            raise ConfigError(f"{path}: the loop {loop.loop!r} is there twice", remedy="rename one")
        found[loop.loop] = loop
    if not found:
        raise ConfigError(f"no loop in {folder}", remedy="write one loop file, or set `loops`")
    return found
