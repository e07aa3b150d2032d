"""What the sections of a configuration are made of: strict models, spans, shares and secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from processor.errors import ConfigError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_KEPT = re.compile(r"P(?=.)(\d+Y)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
"""ISO 8601, as manifests keep the spans of their recipes."""
_COUNT = re.compile(r"[-+]?[\d.]+")
_SECRET_KEYS = re.compile(r"password|secret|\.key\.pem$|basic\.auth\.user\.info", re.IGNORECASE)


def parse_duration(raw: object) -> object:
    """A time span from `14d`, `36h`, `30m`, `90s` or `2w`; anything else is left as it is."""
    if isinstance(raw, str) and (found := re.fullmatch(r"(\d+)\s*([smhdw])", raw.strip())):
        try:
            return timedelta(**{_UNITS[found[2]]: int(found[1])})
        except OverflowError as error:
            raise ValueError(f"{raw} is longer than any span") from error
    return raw


def _written(raw: object) -> object:
    """Refuses what pydantic takes for spans besides: numbers of seconds, and times of day."""
    span = parse_duration(raw)
    if isinstance(span, timedelta) or (isinstance(span, str) and _KEPT.fullmatch(span)):
        return span
    raise ValueError("a span is written as 14d, 36h, 30m or 90s")


def _sensible(span: timedelta) -> timedelta:
    if not timedelta(0) <= span <= LONGEST:
        raise ValueError(f"a span is between 0s and {LONGEST.days}d")
    return span


LONGEST = timedelta(days=36_525)
"""A century: what is added to a time of our days is still one that every library knows."""

Duration = Annotated[timedelta, BeforeValidator(_written), AfterValidator(_sensible)]


def _utc(raw: datetime) -> datetime:
    if not EARLIEST_YEAR <= raw.year <= LATEST_YEAR:
        raise ValueError(f"a time is in the years {EARLIEST_YEAR} to {LATEST_YEAR}")
    return raw if raw.tzinfo else raw.replace(tzinfo=UTC)


EARLIEST_YEAR, LATEST_YEAR = 1900, 2200


def _dated(raw: object, take: ValidatorFunctionWrapHandler) -> object:
    """Refuses numbers too, which pydantic takes for seconds since 1970."""
    if not isinstance(raw, int | float) and not (isinstance(raw, str) and _COUNT.fullmatch(raw)):
        with suppress(ValidationError):
            return take(raw)
    raise ValueError("a time is written as 2024-03-01 or 2024-03-01T12:00:00Z")


Time = Annotated[datetime, WrapValidator(_dated), AfterValidator(_utc)]
"""A point in time; UTC where no zone is named."""


Share = Annotated[float, Field(ge=0, le=1)]


def written_as(pattern: str, meant: str) -> AfterValidator:
    """Text that matches `pattern` as a whole; who writes another is told what is `meant`."""

    def matching(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(meant)
        return text

    return AfterValidator(matching)


Name = Annotated[str, Field(min_length=1)]
"""What has no name, nothing can be of."""


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if "" in names:
        raise ValueError("a name is empty")
    if len(set(names)) < len(names):
        raise ValueError("a name is there twice")
    return names


Names = Annotated[tuple[str, ...], AfterValidator(_distinct)]
"""Names of columns, formats and the like: none is empty, none is there twice."""


_TOPIC_NAME = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")


def _topic(name: str) -> str:
    if not _TOPIC_NAME.fullmatch(name):
        raise ValueError(f"Kafka has no topic {name!r}: 1 to 249 of a-z A-Z 0-9 . _ -")
    return name


Topic = Annotated[str, AfterValidator(_topic)]
"""A name that Kafka takes."""


def kinds(annotation: Any) -> list[Any]:  # noqa: ANN401  # any annotation there is
    """What an annotation is made of, through all that it holds."""
    return [annotation, *chain.from_iterable(map(kinds, get_args(annotation)))]


def _has_flag(raw: object) -> bool:
    inside = raw.values() if isinstance(raw, Mapping) else raw if isinstance(raw, list) else ()
    return isinstance(raw, bool) or any(map(_has_flag, inside))


class Section(BaseModel):
    """A part of the configuration: never changed; no unknown keys, no numbers that are none."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _a_flag_is_no_number(cls, raw: object, info: ValidationInfo) -> object:
        """YAML's `true` and `yes` would count as 1."""
        able = kinds(cls.model_fields[str(info.field_name)].annotation)
        if (int in able or float in able) and bool not in able and _has_flag(raw):
            raise ValueError("a number is no true or false: write it in digits")
        return raw


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
