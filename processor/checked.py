"""Raw settings as the models that they have to fit; what does not fit is named, key by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from processor.errors import ConfigError
from processor.plugins import nearest

ModelT = TypeVar("ModelT", bound=BaseModel)


def checked(model: type[ModelT], raw: object, where: str) -> ModelT:
    """`raw` as a `model`; raises ConfigError that names each bad key and, if unknown, the nearest.

    `where` says which files to edit.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = _problems(model, raw, error.errors())
        raise ConfigError("; ".join(problems), remedy=f"edit {where}") from error


_KINDS = {
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "path_type": "a path",
    "tuple_type": "a list",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "dict_type": "keys with values",
    "model_": "keys with values",
    "literal_error": "{expected}",
}
"""What pydantic asks for, by how the type of its error begins, in our words."""

_NO_SPAN = "datetime.timedelta(0)"  # how pydantic writes it


def _problems(model: type[BaseModel], raw: object, items: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each bad key: one that may be of several kinds is bad for each of them."""
    found: dict[str, dict[str, None]] = {}
    for item in items:
        start, end = _problem(model, _path(item, raw), item)
        found.setdefault(start, {})[end] = None
    return [f"{start} {' or '.join(ends)}" for start, ends in found.items()]


def _problem(model: type[BaseModel], path: list[str], item: Mapping[str, Any]) -> tuple[str, str]:
    """How the sentence begins that names a key, and how it ends."""
    key = ".".join(path) or "configuration"
    if item["type"] == "extra_forbidden":
        known = _keys(model, path[:-1])
        return f"unknown key {key!r}:", nearest(path[-1], known) if known else "it takes none"
    if item["type"] == "value_error":
        return f"{key}:", str(item["ctx"]["error"])
    if item["type"] == "missing":
        return f"{key}: it is", "missing"
    null = " or null" if item["type"] == "literal_error" and _may_be_null(model, path) else ""
    return f"{key}: it has to be", _kind(item) + null


def _kind(item: Mapping[str, Any]) -> str:
    for start, kind in _KINDS.items():
        if item["type"].startswith(start):
            return kind.format(**item.get("ctx", {}))
    own: str = item["msg"]
    return own.removeprefix("Input should be ").replace(_NO_SPAN, "0s")


def _path(item: Mapping[str, Any], raw: Any) -> list[str]:  # noqa: ANN401  # any settings
    """The keys as they were written, without what pydantic calls the kinds that it tried."""
    *_, last = item["loc"] or (None,)
    path: list[str] = []
    for part in item["loc"]:
        try:
            raw = raw[part]
        except (LookupError, TypeError):
            if item["type"] != "missing" or part is not last:
                continue
        path.append(str(part))
    return path


def _may_be_null(model: type[BaseModel], path: list[str]) -> bool:
    field = _fields(model, path[:-1]).get(path[-1])
    return field is not None and type(None) in get_args(field.annotation)


def _keys(model: type[BaseModel], path: Iterable[str]) -> list[str]:
    """The keys that the section at `path` knows."""
    return [*_fields(model, path)]


def _fields(model: type[BaseModel], path: Iterable[str]) -> dict[str, FieldInfo]:
    """What the section at `path` knows, by key."""
    current = model
    for part in path:
        named = (f for name, f in current.model_fields.items() if part in (name, f.alias))
        field = next(named, None)
        current = (section_of(field.annotation) if field else None) or current
    return {field.alias or name: field for name, field in current.model_fields.items()}


def section_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  # any annotation there is
    """The section that an annotation means, also one that may be left out."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (section_of(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
