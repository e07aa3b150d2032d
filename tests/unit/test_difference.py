"""How two versions differ: rows as pandas says, manifests key by key, files byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from processor.datasets.difference import EXAMPLES, ROW, differing, of_files, of_manifests, of_rows
from processor.datasets.manifest import MANIFEST
from processor.datasets.store import Store

Row = dict[str, Any]
SCHEMA = pa.schema(
    {**dict.fromkeys(ROW[:3], pa.string()), "weight": pa.float64(), "other": pa.int64()}
)


def rows(rng: Random, count: int) -> list[Row]:
    """Of a few inferences, so that most are in both; labels and weights may be missing."""
    return [
        {
            "inference_id": f"i{number:03d}",
            "label": rng.choice(["true", "false", None]),
            "split": rng.choice(["train", "test"]),
            "weight": rng.choice([1.0, 2.0, None]),
            "other": rng.randint(0, 9),
        }
        for number in sorted(rng.sample(range(120), count))
    ]


def by_pandas(one: list[Row], other: list[Row]) -> dict[str, set[str]]:
    left, right = (pd.DataFrame(each).set_index("inference_id") for each in (one, other))
    both = left.join(right, how="inner", lsuffix="_a", rsuffix="_b")
    found = {"added": set(right.index) - set(left.index)}
    found["removed"] = set(left.index) - set(right.index)
    for name in ROW[1:]:
        a, b = both[f"{name}_a"], both[f"{name}_b"]
        found[name] = set(both[~((a == b) | (a.isna() & b.isna()))].index)
    return found


@pytest.mark.parametrize("sizes", [(100, 90), (100, 100), (0, 5), (5, 0), (0, 0)])
def test_rows_are_compared_as_pandas_compares_them(sizes: tuple[int, int]) -> None:
    rng = Random(5)
    one, other = (rows(rng, size) for size in sizes)
    found = of_rows(*(pa.Table.from_pylist(each, SCHEMA) for each in (one, other)))
    expected = (
        by_pandas(one, other)
        if one and other
        else {
            "added": {row["inference_id"] for row in other},
            "removed": {row["inference_id"] for row in one},
            **{name: set() for name in ROW[1:]},
        }
    )
    assert {name: found[name] for name in expected} == {n: len(v) for n, v in expected.items()}
    examples = {name: sorted(ids)[:EXAMPLES] for name, ids in expected.items() if ids}
    assert found["examples"] == examples
    ids = [{row["inference_id"] for row in each} for each in (one, other)]
    assert found["in_both"] == len(ids[0] & ids[1])


def test_the_order_of_rows_and_their_chunks_do_not_matter() -> None:
    rng = Random(6)
    one, other = rows(rng, 80), rows(rng, 80)
    first = of_rows(pa.Table.from_pylist(one, SCHEMA), pa.Table.from_pylist(other, SCHEMA))
    rng.shuffle(one)
    parts = [pa.Table.from_pylist(one[start::3], SCHEMA) for start in range(3)]
    assert of_rows(pa.concat_tables(parts), pa.Table.from_pylist(other, SCHEMA)) == first


def manifest(**told: Any) -> Row:  # noqa: ANN401  # any key
    field = {"name": "num.age", "type": "double"}
    plain = {
        "schema": {"type": "struct", "fields": [field]},
        "row_count": 3,
        "splits": [{"name": "test", "rows": 1}, {"name": "train", "rows": 2}],
        "dropped": {},
        "quality": {"share.true": 0.5},
        "leakage": {"subject": {"rows": 0, "share": 0.0, "examples": []}},
        "recipe": {"loop": {"loop": "l"}, "dataset": {"name": "d", "split": {"test": 0.1}}},
        "code_version": "1",
        "config_hash": "a",
        "uri": "not compared",
    }
    return {**plain, **told}


def test_manifests_are_compared_key_by_key() -> None:
    listed = {"type": "array", "elementType": "string", "containsNull": True}
    other = manifest(
        schema={"fields": [{"name": "num.age", "type": listed}, {"name": "x", "type": "string"}]},
        splits=[{"name": "train", "rows": 3}],
        dropped={"retracted": 4},
        recipe={"loop": {"loop": "l"}, "dataset": {"name": "d", "split": {"by": "time"}}},
        config_hash="b",
        uri="elsewhere",
    )
    same = of_manifests(manifest(), manifest(uri="elsewhere"))
    sections = {"schema", "counts", "dropped", "quality", "leakage", "recipe", "made_by"}
    assert same == {name: {} for name in sections}
    assert of_manifests(manifest(), other) == {
        "schema": {"num.age": ["double", "array"], "x": [None, "string"]},
        "counts": {"test": [1, None], "train": [2, 3]},
        "dropped": {"retracted": [None, 4]},
        "quality": {},
        "leakage": {},
        "recipe": {"dataset.split.by": [None, "time"], "dataset.split.test": [0.1, None]},
        "made_by": {"config_hash": ["a", "b"]},
    }


def test_lists_differ_by_place() -> None:
    assert differing({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}, 4]}) == {
        "a.1.b": [2, 3],
        "a.2": [None, 4],
    }
    assert differing({"a": []}, {"a": []}) == {}


def store(folder: Path, **files: bytes) -> Store:
    for name, content in files.items():
        path = folder / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Store(str(folder))


def test_files_are_compared_byte_for_byte_and_the_manifest_last(tmp_path: Path) -> None:
    told = json.dumps({"row_count": 3, "sampling": {}}).encode()
    whole = {"train_one": b"1", "train_two": b"2", "test_one": b"3"}
    first = store(tmp_path / "a", **whole)
    (tmp_path / "a" / MANIFEST).write_bytes(told)
    again = store(tmp_path / "b", **whole)
    (tmp_path / "b" / MANIFEST).write_bytes(told)
    assert list(of_files(first, again)) == []
    (tmp_path / "a" / "train" / "two").write_bytes(b"other")
    (tmp_path / "a" / "test" / "one").unlink()
    (tmp_path / "a" / "extra").write_bytes(b"")
    (tmp_path / "a" / MANIFEST).write_bytes(told.replace(b"3", b"4"))
    named = [each.split(" is ")[0] for each in of_files(first, again)]
    assert named == ["extra", "test/one", "train/two", f"{MANIFEST}: row_count"]
    (tmp_path / "a" / MANIFEST).write_bytes(b"{")
    assert list(of_files(first, again))[-1].startswith(f"{MANIFEST} is ")
    for path in sorted((tmp_path / "a").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert len(list(of_files(first, again))) == len(whole) + 1
