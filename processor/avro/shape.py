"""How large a writer schema may be: one that is not ours must not take the decoder with it.

A schema can be small and stand for a lot: named types that hold each other twice double with each
name, one that holds itself lets a message nest until the stack ends, and items without bytes let
ten bytes stand for a million. None of it is of use to an event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from processor.config import LimitsConfig

MOST_TYPES = 10_000  # types that a schema may stand for, each name counted where it is used


@dataclass(frozen=True)
class Shape:
    """What a type stands for: types inside each other, types in all, and whether it has bytes."""

    depth: int
    types: int
    filled: bool


def refusal(text: str, limits: LimitsConfig) -> str | None:
    """Why a writer schema is not used; None if it may be."""
    size = len(text.encode())
    if size > limits.schema_bytes:
        return f"it has {size:,} bytes, limits.schema_bytes is {limits.schema_bytes:,}"
    try:
        _Walk(limits.schema_depth).shape(json.loads(text), "")
    except _RefusedError as refused:
        return str(refused)
    except RecursionError:
        return f"it is deeper than limits.schema_depth, {limits.schema_depth}"
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return f"it is not an Avro schema: {type(error).__name__}: {error}"
    return None


class _RefusedError(Exception):
    """A limit was met."""


@dataclass
class _Walk:
    """Each named type is looked into once, where it is defined; `space` is the namespace there."""

    deepest: int
    named: dict[str, Shape | None] = field(default_factory=dict)  # None: not at its end yet

    def shape(self, node: Any, space: str) -> Shape:  # noqa: ANN401  # text, list or dict
        found = self._of(node, space)
        if found.depth > self.deepest:
            raise _RefusedError(f"it is deeper than limits.schema_depth, {self.deepest}")
        if found.types > MOST_TYPES:
            raise _RefusedError(f"it stands for more than {MOST_TYPES:,} types")
        return found

    def _of(self, node: Any, space: str) -> Shape:  # noqa: ANN401  # text, list or dict
        if isinstance(node, str):
            return self._reference(node, space)
        if isinstance(node, list):
            return _around([self.shape(branch, space) for branch in node], filled=True)
        kind = node["type"]
        if kind in ("record", "error"):
            return self._record(node, space)
        if kind in ("array", "map"):
            return self._items(node, space)
        if kind in ("enum", "fixed"):
            leaf = Shape(1, 1, filled=kind == "enum" or node["size"] > 0)
            self.named[_full(node, space)] = leaf
            return leaf
        return self.shape(kind, space)

    def _reference(self, name: str, space: str) -> Shape:
        key = name if "." in name else f"{space}.{name}"
        known = self.named.get(key, Shape(1, 1, filled=name != "null"))
        if known is None:
            raise _RefusedError(f"{name} holds itself")
        return known

    def _record(self, node: dict[str, Any], space: str) -> Shape:
        name = _full(node, space)
        self.named[name] = None
        fields = [self.shape(each["type"], name.rpartition(".")[0]) for each in node["fields"]]
        found = _around(fields, filled=any(each.filled for each in fields))
        self.named[name] = found
        return found

    def _items(self, node: dict[str, Any], space: str) -> Shape:
        inner = self.shape(node["items" if node["type"] == "array" else "values"], space)
        if node["type"] == "array" and not inner.filled:
            raise _RefusedError("it has an array whose items have no bytes")
        return _around([inner], filled=True)


def _around(inner: list[Shape], *, filled: bool) -> Shape:
    depth = 1 + max((each.depth for each in inner), default=0)
    return Shape(depth, 1 + sum(each.types for each in inner), filled)


def _full(node: dict[str, Any], space: str) -> str:
    name: str = node["name"]
    return name if "." in name else f"{node.get('namespace', space)}.{name}"
