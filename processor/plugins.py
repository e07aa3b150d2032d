"""Registries: a file in a folder is an entry, found without being listed anywhere."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from difflib import get_close_matches
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from processor.errors import ConfigError


class Named(Protocol):
    """Anything with a name of its own."""

    @property
    def name(self) -> str:
        """The word that configuration uses for this entry."""
        ...


EntryT = TypeVar("EntryT", bound=Named)


def nearest(word: str, choices: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    """A remedy for a word that is none of `choices`: the nearest one, or all of them."""
    known = sorted(choices)
    close = get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"


class Registry(Generic[EntryT]):
    """The `ENTRY` of every module of a package, by name; two entries never share one.

    Modules named `base` hold what the entries share, and are no entry.

    Raises:
        RuntimeError: two modules claim one name.
        AttributeError: a module has no `ENTRY`.
    """

    def __init__(self, package: ModuleType, kind: str) -> None:
        self.kind = kind
        self._by_name: dict[str, EntryT] = {}
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".base"):
                continue
            entry: EntryT = importlib.import_module(module.name).ENTRY
            if self._by_name.setdefault(entry.name, entry) is not entry:
                raise RuntimeError(f"{module.name}: the {kind} {entry.name!r} is taken")

    def __iter__(self) -> Iterator[EntryT]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> EntryT:
        """The entry called `name`; raises ConfigError, with the nearest name, if there is none."""
        if name not in self._by_name:
            raise ConfigError(
                f"unknown {self.kind} {name!r}", remedy=nearest(name, list(self._by_name))
            )
        return self._by_name[name]
