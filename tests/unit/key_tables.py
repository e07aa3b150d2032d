"""Tables of keys in the documents, held against the models that read those keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
NEEDED = "needed"
BELOW = "[below]"
"""What the default of a section says: its own keys have defaults of their own."""

_HEADING = re.compile(r"^#{2,} (.*)$", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| .+ \|$", re.MULTILINE)


def table(text: str, heading: str) -> dict[str, str]:
    """The default of each key, as the table of keys under a heading has it."""
    _, *parts = _HEADING.split(text)
    body = dict(zip(parts[::2], parts[1::2], strict=True))[heading]
    (rows,) = [
        part for part in body.split("\n\n") if part.startswith("| key | default | what it is |\n")
    ]
    found = dict(_ROW.findall(rows))
    assert len(found) == rows.strip().count("\n") - 1, f"a row of {heading} is no row of a key"
    return found


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model, by the keys that a file has for them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def holds(told: str, field: FieldInfo) -> bool:
    """Whether a cell says the default of a field, or that it has none."""
    if field.is_required() or told == NEEDED:
        return field.is_required() and told == NEEDED
    default: Any = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return told.startswith(BELOW)
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    read = TypeAdapter[Any](kind).validate_python(yaml.safe_load(told.strip("`")))
    return bool(told.startswith("`") and read == default)
