"""How two versions of a dataset differ: in rows, in what their manifests say, and in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from processor.datasets.manifest import MANIFEST
from processor.datasets.store import Store

ROW = ("inference_id", "label", "split", "weight")
"""What is compared of rows, by the first of them."""
EXAMPLES = 5  # inferences named for each difference


def of_rows(one: pa.Table, other: pa.Table) -> dict[str, Any]:
    """How many rows were added, removed and changed from `one` to `other`, and the first of each.

    Columns in: ROW, each inference once. An inference whose row changed in two columns counts
    for both.
    """
    left, right = (each.select(ROW) for each in (one, other))
    both = left.append_column("a", _yes(left)).join(
        right.append_column("b", _yes(right)),
        keys="inference_id",
        join_type="full outer",
        left_suffix="_a",
        right_suffix="_b",
    )
    there = {side: pc.is_valid(both[side]) for side in ("a", "b")}
    shared = pc.and_(there["a"], there["b"])
    found = {
        "added": pc.invert(there["a"]),
        "removed": pc.invert(there["b"]),
        **{name: pc.and_(shared, _differs(both, name)) for name in ROW[1:]},
    }
    ids = {kind: both["inference_id"].filter(chosen) for kind, chosen in found.items()}
    return {
        "in_both": pc.sum(shared).as_py() or 0,
        **{kind: len(named) for kind, named in ids.items()},
        "examples": {kind: _first(named) for kind, named in ids.items() if len(named)},
    }


def of_manifests(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two manifests say differently: by section, each key with both values."""
    pairs = zip(_sections(one).items(), _sections(other).values(), strict=True)
    return {name: differing(left, right) for (name, left), right in pairs}


def differing(one: object, other: object) -> dict[str, list[Any]]:
    """Every key, dotted, whose values differ, with both of them; None where there is none."""
    left, right = _flat(one), _flat(other)
    keys = sorted(left.keys() | right.keys())
    pairs = {key: [left.get(key), right.get(key)] for key in keys}
    return {key: both for key, both in pairs.items() if both[0] != both[1]}


def of_files(first: Store, again: Store) -> Iterator[str]:
    """What differs in files, one sentence each; the manifest last: it names the others' digests."""
    left, right = first.digests(), again.digests()
    for path in sorted(left.keys() | right.keys(), key=lambda path: (path == MANIFEST, path)):
        if path not in left:
            yield f"{path} is not there, and would be {right[path]}"
        elif path not in right:
            yield f"{path} is there, and would not be"
        elif left[path] != right[path]:
            said = _in_manifest(first, again) if path == MANIFEST else ""
            yield said or f"{path} is {left[path]}, and would be {right[path]}"


def _in_manifest(first: Store, again: Store) -> str:
    """The first key that two manifests say differently; nothing where that cannot be said."""
    try:
        told = differing(first.manifest(), again.manifest())
    except ValueError:  # no JSON any more
        return ""
    named = (f"{key} is {was!r}, and would be {would!r}" for key, (was, would) in told.items())
    return next((f"{MANIFEST}: {each}" for each in named), "")


def _sections(manifest: Mapping[str, Any]) -> dict[str, Any]:
    fields = manifest["schema"]["fields"]
    return {
        "schema": {field["name"]: _type(field["type"]) for field in fields},
        "counts": {
            "rows": manifest["row_count"],
            **{split["name"]: split["rows"] for split in manifest["splits"]},
        },
        "dropped": manifest["dropped"],
        "quality": manifest["quality"],
        "leakage": {check: said["rows"] for check, said in manifest["leakage"].items()},
        "recipe": manifest["recipe"],
        "made_by": {name: manifest[name] for name in ("code_version", "config_hash")},
    }


def _type(told: object) -> str:
    """A type of Spark's, as its JSON says it, in one word."""
    return told if isinstance(told, str) else str(told["type"])  # type: ignore[index]  # an object


def _flat(value: object, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        parts = [(str(name), each) for name, each in value.items()]
    elif isinstance(value, list):
        parts = [(str(number), each) for number, each in enumerate(value)]
    else:
        return {prefix: value}
    if not parts:
        return {prefix: value} if prefix else {}
    found: dict[str, Any] = {}
    for name, each in parts:
        found |= _flat(each, f"{prefix}.{name}" if prefix else name)
    return found


def _yes(rows: pa.Table) -> pa.Array:
    return pa.array([True]).take(pa.array([0] * rows.num_rows, pa.int32()))


def _differs(both: pa.Table, name: str) -> pa.ChunkedArray:
    """Whether two values differ; a missing one differs from every other."""
    left, right = both[f"{name}_a"], both[f"{name}_b"]
    missing = pc.xor(pc.is_null(left), pc.is_null(right))
    return pc.or_(missing, pc.fill_null(pc.not_equal(left, right), False))  # Arrow's own


def _first(ids: pa.ChunkedArray) -> list[str]:
    """The first by name; only as many are sorted as are named."""
    order = pc.select_k_unstable(pa.table({"id": ids}), EXAMPLES, [("id", "ascending")])
    named: list[str] = ids.take(order).to_pylist()
    return named
