"""A registry is its folder: entries found by their files, clashes and typos refused."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from processor.errors import ConfigError
from processor.plugins import Named, Registry, nearest

ENTRY = """
class Entry:
    name = {name!r}

ENTRY = Entry()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    folder = tmp_path / "planted_entries"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "base.py").write_text("raise RuntimeError('no entry')\n", encoding="utf-8")
    (folder / "one.py").write_text(ENTRY.format(name="first"), encoding="utf-8")
    (folder / "two.py").write_text(ENTRY.format(name="second"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("planted_entries")
    for name in [name for name in sys.modules if name.startswith("planted_entries")]:
        del sys.modules[name]


def test_every_file_but_base_is_an_entry_under_its_own_name(package: ModuleType) -> None:
    registry: Registry[Named] = Registry(package, "signal")
    assert [entry.name for entry in registry] == ["first", "second"]
    assert registry["second"].name == "second"


def test_an_unknown_name_is_refused_with_the_nearest_or_all(package: ModuleType) -> None:
    registry: Registry[Named] = Registry(package, "signal")
    with pytest.raises(ConfigError) as near:
        registry["frist"]
    assert near.value.what == "unknown signal 'frist'"
    assert near.value.remedy == "did you mean 'first'?"
    with pytest.raises(ConfigError) as far:
        registry["zzz"]
    assert far.value.remedy == "use one of first, second"


def test_a_name_taken_twice_is_refused_by_file(package: ModuleType) -> None:
    path = Path(next(iter(package.__path__)), "three.py")
    path.write_text(ENTRY.format(name="first"), encoding="utf-8")
    importlib.invalidate_caches()
    with pytest.raises(RuntimeError, match=r"planted_entries\.three: the signal 'first' is taken"):
        Registry(package, "signal")


def test_a_file_without_an_entry_is_refused(package: ModuleType) -> None:
    path = Path(next(iter(package.__path__)), "three.py")
    path.write_text("ENTRIES = ()\n", encoding="utf-8")
    importlib.invalidate_caches()
    with pytest.raises(AttributeError, match="ENTRY"):
        Registry(package, "signal")


def test_the_nearest_word() -> None:
    assert nearest("bathc", ["batch", "match"]) == "did you mean 'batch'?"
    assert nearest("qq", ("b", "a")) == "use one of a, b"
