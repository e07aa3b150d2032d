"""Configuration: frozen, strict, layered; an unknown key is refused with the nearest one.

Layers, later wins key by key: the shipped `conf/bfp.yaml`, the file given by `--config`,
environment variables `BFP__KAFKA__BOOTSTRAP_SERVERS`, flags `--set kafka.bootstrap_servers=…`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from processor.checked import checked
from processor.errors import ConfigError
from processor.layers import from_environment, from_flags, merge, read
from processor.plugins import nearest
from processor.resources import resource

DEFAULTS = resource("conf", "bfp.yaml")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CREDENTIALS = re.compile(r"//[^/@]*@")
_SECRET_KEYS = re.compile(r"password|secret|\.key\.pem$|basic\.auth\.user\.info", re.IGNORECASE)


def parse_duration(raw: object) -> object:
    """A time span from `14d`, `36h`, `30m`, `90s` or `2w`; anything else is left to pydantic."""
    if isinstance(raw, str) and (found := re.fullmatch(r"(\d+)\s*([smhdw])", raw.strip())):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    return raw


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


def _utc(raw: datetime) -> datetime:
    return raw if raw.tzinfo else raw.replace(tzinfo=UTC)


Time = Annotated[datetime, AfterValidator(_utc)]
"""A point in time; UTC where no zone is named."""


Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: never changed, and never with a key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Secret(Section):
    """A value kept outside the configuration: in an environment variable or in a file."""

    env: str | None = None
    file: Path | None = None

    def reveal(self) -> str:
        """The value itself; raises ConfigError when the variable or the file is not there."""
        if self.env is not None and self.env in os.environ:
            return os.environ[self.env]
        if self.file is not None and self.file.is_file():
            return self.file.read_text(encoding="utf-8").strip()
        raise ConfigError(f"no secret at {self}", remedy="set the variable or write the file")


def _no_plain_secrets(properties: dict[str, Any]) -> dict[str, Any]:
    for key, value in properties.items():
        if _SECRET_KEYS.search(key) and isinstance(value, str):
            raise ValueError(f"{key} holds a secret: write {{env: NAME}} or {{file: PATH}}")
    return properties


Properties = Annotated[
    dict[str, str | int | float | bool | Secret], BeforeValidator(_no_plain_secrets)
]


def revealed(properties: Mapping[str, str | float | bool | Secret]) -> dict[str, str]:
    """Client properties as text, secrets put in; to be passed on and never stored."""
    return {
        key: value.reveal() if isinstance(value, Secret) else _plain(value)
        for key, value in properties.items()
    }


def _plain(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class KafkaConfig(Section):
    """Where the broker is; `properties` are librdkafka's (security, timeouts)."""

    bootstrap_servers: str
    properties: Properties = {}
    timeout: Duration = timedelta(seconds=10)


class RegistryConfig(Section):
    """Where writer schemas are: a registry with the Confluent API, a folder, or both."""

    url: str | None = None
    directory: Path | None = None
    properties: Properties = {}
    timeout: Duration = timedelta(seconds=10)

    @property
    def name(self) -> str:
        """What the registry is called where its answers are kept: its address, without secrets."""
        parts = (_CREDENTIALS.sub("//", part.strip()) for part in (self.url or "").split(","))
        return ",".join(part.rstrip("/") for part in parts)


class Topics(Section):
    """The topic of each table of events; the names of the fields are the names of the tables."""

    inferences: str = "bfp.inferences"
    feedback: str = "bfp.feedback"
    sessions: str = "bfp.sessions"
    feature_sets: str = "bfp.feature-sets"
    ground_truth: str = "bfp.ground-truth"
    lifecycle: str = "bfp.model-lifecycle"
    erasures: str = "bfp.erasures"

    def by_topic(self) -> dict[str, str]:
        """Table name by topic name."""
        return {topic: table for table, topic in self.model_dump().items()}


class Outputs(Section):
    """The topics that this software writes."""

    retraining_triggers: str = "bfp.retraining-triggers"
    datasets: str = "bfp.datasets"


class BatchConfig(Section):
    """What bounds a batch; `max_rows` counts offsets, None for no limit."""

    watermark_tolerance: Duration = timedelta(minutes=5)
    lease: Duration = Field(default=timedelta(seconds=60), gt=timedelta(0))
    open_transaction_wait: Duration = timedelta(seconds=5)
    max_rows: int | None = Field(default=None, gt=0)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # not there, no file name, or a folder
        raise ValueError(f"there is no time zone {name!r}") from error
    return name


Zone = Annotated[str, AfterValidator(_zone)]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class ScheduleConfig(Section):
    """When batches end: each full hour, or each midnight (of one weekday) in a time zone."""

    every: Literal["hour", "day", "week"] = "day"
    zone: Zone = "UTC"
    weekday: Weekday = "monday"


class LimitsConfig(Section):
    """What one record and one writer schema may ask for; what goes beyond is a defect.

    Bytes, but for `items` (of one array or map) and `schema_depth` (types inside each other).
    """

    record_bytes: int = Field(default=16 << 20, gt=0)
    text_bytes: int = Field(default=16 << 20, gt=0)
    items: int = Field(default=1 << 20, gt=0)
    schema_bytes: int = Field(default=1 << 20, gt=0)
    schema_depth: int = Field(default=64, gt=0)


class DefectsConfig(Section):
    """How many of the records that a batch lands may have defects before somebody has to look.

    `max_share` is a share of those records; batches of fewer than `min_rows` are not judged.
    """

    max_share: float = Field(default=0.1, ge=0, le=1)
    min_rows: int = Field(default=100, gt=0)


class OutcomeConfig(Section):
    """What makes an inference known.

    `signal` says how an event becomes a value, `level` how it finds its inferences, `credit` how
    it is divided among those that share it, `threshold` from which number on it is positive.
    """

    metric: str
    source: Literal["ground_truth", "feedback"] | None = Field(default=None, alias="from")
    signal: str | None = None
    level: str = "inference"
    credit: dict[str, Any] | None = None
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    window: Duration
    grace: Duration = timedelta(0)
    default: Literal["negative"] | None = None
    positive: str = "true"
    negative: str = "false"


class ReferenceConfig(Section):
    """The baseline's own history: a Parquet file of labelled predictions.

    Columns: the features by name, `pred_label`, `pred_score` (of the positive label), `label`,
    and the loop's slices.
    """

    model_version: str
    path: Path


class SplitConfig(Section):
    """How rows are divided: by what belongs together, in shares, or by when they were served.

    `by` is `subject`, `session`, `tag.<name>`, `feature.<name>` or `time`. By time, a row is in the
    split whose start it has passed; those within `embargo` before a start are left out.
    """

    by: str = Field(default="subject", pattern=r"^(subject|session|time|(tag|feature)\..+)$")
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

    limits: dict[Literal["subject", "exact", "near"], Share] = {}
    text: tuple[str, ...] = ()
    similarity: float = Field(default=0.8, ge=0.7, le=1)

    @model_validator(mode="after")
    def _near_needs_text(self) -> Self:
        if "near" in self.limits and not self.text:
            raise ValueError("limits.near needs the names of columns in text")
        return self


class DatasetConfig(Section):
    """One recipe: which rows become a dataset version, and in which formats."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    kind: Literal["supervised"] = "supervised"
    mode: Literal["incremental"] = "incremental"
    sampling: dict[str, Any] = {"policy": "all"}
    split: SplitConfig = SplitConfig()
    leakage: LeakageConfig = LeakageConfig()
    formats: tuple[str, ...] = ("parquet",)
    seed: int = 0


class EvaluationConfig(Section):
    """The gates that a candidate has to pass; without them no verdict but INSUFFICIENT."""

    min_pairs: int = Field(default=1000, gt=0)
    margin: float = Field(gt=0)
    slice_margin: float = Field(gt=0)
    alpha: float = Field(default=0.05, gt=0, lt=1)


class LoopConfig(Section):
    """One feedback loop: one model, what its answers mean, and what follows from them.

    Datasets and measurements follow `outcome`; `outcomes` are further metrics in the ledger.
    """

    loop: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    model: str
    task: Literal["classification"] = "classification"
    outcome: OutcomeConfig
    outcomes: tuple[OutcomeConfig, ...] = ()
    reference: ReferenceConfig | None = None
    slices: tuple[str, ...] = ()
    min_slice_rows: int = Field(default=30, gt=0)
    windows: tuple[str, ...] = ("batch",)
    datasets: tuple[DatasetConfig, ...] = ()
    evaluation: EvaluationConfig | None = None
    rules: tuple[dict[str, Any], ...] = ()

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


_NO_RESULT = {"lease", "open_transaction_wait", "max_rows"}
"""Settings of how batches are cut and held: where one ends is stored with it, not derived."""


class Config(Section):
    """Everything a run is told."""

    warehouse: str
    report: Path
    kafka: KafkaConfig
    registry: RegistryConfig
    topics: Topics = Topics()
    outputs: Outputs = Outputs()
    batch: BatchConfig = BatchConfig()
    schedule: ScheduleConfig | None = None
    limits: LimitsConfig = LimitsConfig()
    defects: DefectsConfig = DefectsConfig()
    spark: dict[str, str] = {}
    loops: Path
    loop: dict[str, LoopConfig] = {}

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of everything that decides a result: not where things are, nor secrets."""
        decisive = {"topics", "limits", "loop"}
        kept = self.model_dump(mode="json", include=decisive, by_alias=True)
        kept["batch"] = self.batch.model_dump(mode="json", exclude=_NO_RESULT)
        for loop in kept["loop"].values():
            if loop["reference"]:
                loop["reference"].pop("path")
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

    def only(self, name: str) -> LoopConfig:
        """The loop called `name`; raises ConfigError, with the nearest name, if there is none."""
        if name not in self.loop:
            raise ConfigError(f"unknown loop {name!r}", remedy=nearest(name, tuple(self.loop)))
        return self.loop[name]


def _anchored(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths of a file mean: from the folder of that file."""
    out = dict(raw)
    for key in ("warehouse", "report", "loops"):
        if isinstance(out.get(key), str) and "://" not in out[key]:
            out[key] = str(folder / out[key])
    registry = out.get("registry")
    if isinstance(registry, dict) and isinstance(registry.get("directory"), str):
        out["registry"] = {**registry, "directory": str(folder / registry["directory"])}
    return out


def _loops(folder: Path) -> dict[str, LoopConfig]:
    found: dict[str, LoopConfig] = {}
    for path in sorted(folder.glob("*.yaml")):
        raw = read(path)
        if isinstance(raw.get("reference"), dict) and isinstance(raw["reference"].get("path"), str):
            anchored = str(path.parent / raw["reference"]["path"])
            raw["reference"] = {**raw["reference"], "path": anchored}
        loop = checked(LoopConfig, raw, str(path))
        if loop.loop in found:
            raise ConfigError(f"{path}: the loop {loop.loop!r} is there twice", remedy="rename one")
        found[loop.loop] = loop
    if not found:
        raise ConfigError(f"no loop in {folder}", remedy="write one loop file, or set `loops`")
    return found


def load(
    file: Path | None = None,
    flags: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Config:
    """The configuration of all layers; raises ConfigError that names the key and the file."""
    layers = [_anchored(read(DEFAULTS), Path.cwd())]
    if file is not None:
        layers.append(_anchored(read(file), file.resolve().parent))
    outside = os.environ if environment is None else environment
    layers.append(_anchored(from_environment(outside), Path.cwd()))
    layers.append(_anchored(from_flags(flags), Path.cwd()))
    raw: dict[str, Any] = {}
    for layer in layers:
        raw = merge(raw, layer)
    if "loop" in raw:
        raise ConfigError("unknown key 'loop': did you mean 'loops'?", remedy="name their folder")
    where = str(file) if file else "the flags, or give --config FILE"
    config = checked(Config, raw, where)
    if not config.loops.is_dir():
        raise ConfigError(f"{config.loops} is no folder", remedy="set `loops` to the loops' folder")
    return config.model_copy(update={"loop": _loops(config.loops)})
