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
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from processor.checked import checked
from processor.errors import ConfigError
from processor.layers import from_environment, from_flags, merge, read
from processor.loops import LoopConfig, loops_in
from processor.plugins import nearest
from processor.resources import resource
from processor.sections import Duration, Properties, Section, Topic

DEFAULTS = resource("conf", "bfp.yaml")

_CREDENTIALS = re.compile(r"//[^/@]*@")


class KafkaConfig(Section):
    """Where the broker is; `properties` are librdkafka's (security, timeouts)."""

    bootstrap_servers: str
    properties: Properties = Field(default={})
    timeout: Duration = Field(default=timedelta(seconds=10), gt=timedelta(0))


class RegistryConfig(Section):
    """Where writer schemas are: a registry with the Confluent API, a folder, or both."""

    url: str | None = None
    directory: Path | None = None
    properties: Properties = Field(default={})
    timeout: Duration = Field(default=timedelta(seconds=10), gt=timedelta(0))

    @property
    def name(self) -> str:
        """What the registry is called where its answers are kept: its address, without secrets."""
        parts = (_CREDENTIALS.sub("//", part.strip()) for part in (self.url or "").split(","))
        return ",".join(part.rstrip("/") for part in parts)


class Topics(Section):
    """The topic of each table of events; the names of the fields are the names of the tables."""

    inferences: Topic = "bfp.inferences"
    feedback: Topic = "bfp.feedback"
    sessions: Topic = "bfp.sessions"
    feature_sets: Topic = "bfp.feature-sets"
    ground_truth: Topic = "bfp.ground-truth"
    lifecycle: Topic = "bfp.model-lifecycle"
    erasures: Topic = "bfp.erasures"

    def by_topic(self) -> dict[str, str]:
        """Table name by topic name."""
        return {topic: table for table, topic in self.model_dump().items()}


class Outputs(Section):
    """The topics that this software writes."""

    retraining_triggers: Topic = "bfp.retraining-triggers"
    datasets: Topic = "bfp.datasets"
    label_requests: Topic = "bfp.label-requests"


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
    spark: dict[str, str] = Field(default={})
    loops: Path
    loop: dict[str, LoopConfig] = Field(default={})

    @model_validator(mode="after")
    def _one_topic_one_meaning(self) -> Config:
        named = [*self.topics.model_dump().values(), *self.outputs.model_dump().values()]
        if twice := sorted({each for each in named if named.count(each) > 1}):
            raise ValueError(f"the topic {twice[0]} has two meanings in `topics` and `outputs`")
        return self

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
    over = [_anchored(each, Path.cwd()) for each in (from_environment(outside), from_flags(flags))]
    raw: dict[str, Any] = {}
    for layer in (*layers, *over):
        raw = merge(raw, layer)
    if "loop" in raw:
        raise ConfigError("unknown key 'loop': did you mean 'loops'?", remedy="name their folder")
    where = str(file) if file else "what --set and BFP__ variables say, or give --config FILE"
    if file and any(over):
        where += ", or what --set and BFP__ variables put over it"
    config = checked(Config, raw, where)
    if not config.loops.is_dir():
        raise ConfigError(f"{config.loops} is no folder", remedy="set `loops` to the loops' folder")
    return config.model_copy(update={"loop": loops_in(config.loops)})
