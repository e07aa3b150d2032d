"""Whether two warehouses hold the same: everything but clocks, run ids and places."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.e2e.tables import arrow
from tests.e2e.world import Site

OF_A_RUN = {"run_id", "planned_at", "created_at", "code_version"}
"""What a run is called, when it was planned, and by which sources: it may differ."""
OBSERVED = {"runs"}
"""What the runs took; a killed run has no row."""
FOLLOWS = ("outcomes", "datasets", "dataset_rows", "profiles", "measurements", "decisions")
"""What follows from events and configuration: a backfill makes it anew."""


def names(site: Site) -> set[str]:
    """The tables of a warehouse."""
    return {path.parent.name for path in site.warehouse.glob("*/_delta_log")}


def rows(warehouse: Path, table: str, *places: str) -> Counter[str]:
    """The rows of a table in a form that can be compared; their order and `places` are lost."""
    found = arrow(warehouse / table)
    maps = {f.name for f in found.schema if pa.types.is_map(f.type)}
    return Counter(_text(row, maps, places) for row in found.to_pylist())


def _text(row: dict[str, Any], maps: set[str], places: Iterable[str]) -> str:
    kept = {name: value for name, value in row.items() if name not in OF_A_RUN}
    ordered = {name: sorted(v) if name in maps and v else v for name, v in kept.items()}
    text = json.dumps(ordered, sort_keys=True, default=str)
    for place in places:
        text = text.replace(place, "HOME")
    return text


def _places(site: Site) -> tuple[str, str]:
    return str(site.home), site.home.name


def files(site: Site) -> dict[str, str]:
    """SHA-256 of every file of every dataset version, by its path."""
    folder = site.warehouse / "dataset_files"
    return {
        str(path.relative_to(folder)): _digest(site, path)
        for path in folder.rglob("*")
        if path.is_file()
    }


def _digest(site: Site, path: Path) -> str:
    content = path.read_bytes()
    if path.name == "manifest.json":
        told = json.loads(content)
        content = _text(told, set(), _places(site)).encode()
    return hashlib.sha256(content).hexdigest()


def same(one: Site, other: Site) -> None:
    """Both warehouses hold the same rows in every table, and the same files."""
    assert names(one) == names(other)
    for table in sorted(names(one) - OBSERVED):
        left, right = (rows(site.warehouse, table, *_places(site)) for site in (one, other))
        assert left == right, f"{table}: {(left - right).keys()} {(right - left).keys()}"
    assert files(one) == files(other)


def follows(anew: Path, first: Path) -> None:
    """A backfill holds what another warehouse says of the same events, files too."""
    for table in FOLLOWS:
        left, right = (rows(folder, table, str(folder)) for folder in (anew, first))
        assert left == right, f"{table}: {(left - right).keys()} {(right - left).keys()}"
    assert fingerprint(anew / "dataset_files") == fingerprint(first / "dataset_files") != {}


def fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder but backfills."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and "backfills" not in path.relative_to(folder).parts
    }
