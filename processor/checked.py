"""Raw settings as the models that they have to fit; what does not fit is named, key by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

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
        problems = "; ".join(_problem(model, dict(item)) for item in error.errors())
        raise ConfigError(problems, remedy=f"edit {where}") from error


def _problem(model: type[BaseModel], item: Mapping[str, Any]) -> str:
    path = [str(part) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        known = _keys(model, path[:-1])
        meant = nearest(path[-1], known) if known else "it takes none"
        return f"unknown key {'.'.join(path)!r}: {meant}"
    return f"{'.'.join(path) or 'configuration'}: {item['msg']}"


def _keys(model: type[BaseModel], path: Iterable[str]) -> list[str]:
    """The keys that the section at `path` knows."""
    current = model
    for part in path:
        named = (f for name, f in current.model_fields.items() if part in (name, f.alias))
        field = next(named, None)
        current = (section_of(field.annotation) if field else None) or current
    return [field.alias or name for name, field in current.model_fields.items()]


def section_of(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401  # any annotation there is
    """The section that an annotation means, also one that may be left out."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (section_of(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)
