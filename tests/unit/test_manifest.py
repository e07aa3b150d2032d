"""A manifest is the same bytes for the same content, and other bytes for any other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.datasets.manifest import File, content_sha256, sha256_of, sources, splits, text

FILES = [
    File("test/0.parquet", "test", 3, 30, "aa"),
    File("train/0.parquet", "train", 5, 50, "bb"),
    File("train/1.parquet", "train", 7, 70, "cc"),
]


def sha(written: str) -> str:
    return hashlib.sha256(written.encode()).hexdigest()


def test_splits_add_up_their_files_in_order_of_name() -> None:
    test, train = splits([FILES[1], FILES[0], FILES[2]])
    assert (test["name"], test["rows"], test["sha256"]) == ("test", 3, sha("aa"))
    assert (train["name"], train["rows"], train["sha256"]) == ("train", 12, sha("bb\ncc"))
    assert train["files"] == [
        {"path": "train/0.parquet", "rows": 5, "bytes": 50, "sha256": "bb"},
        {"path": "train/1.parquet", "rows": 7, "bytes": 70, "sha256": "cc"},
    ]
    assert splits([]) == []


def test_the_identity_is_the_schema_and_each_file_by_name() -> None:
    named = "test/0.parquet aa\ntrain/0.parquet bb\ntrain/1.parquet cc"
    assert content_sha256(FILES, "{}") == sha(f"{{}}\n{named}")
    changed = [
        content_sha256(FILES, "{} "),
        content_sha256(FILES[:2], "{}"),
        content_sha256([replace(FILES[0], path="test/1.parquet"), *FILES[1:]], "{}"),
        content_sha256([replace(FILES[0], sha256="ab"), *FILES[1:]], "{}"),
    ]
    assert len({content_sha256(FILES, "{}"), *changed}) == len(changed) + 1


def test_what_was_read_is_one_range_of_each_partition_of_each_topic_that_had_a_name() -> None:
    def planned(
        topic: str, topic_id: str, partition: int, start: int, end: int
    ) -> dict[str, object]:
        names = ("topic", "topic_id", "partition", "start_offset", "end_offset")
        said = (topic, topic_id, partition, start, end)
        return dict(zip(names, said, strict=True)) | {"batch_id": 7, "run_id": "r"}

    read = [
        *(planned("b", "b1", 0, 0, 3), planned("a", "a9", 0, 5, 9), planned("a", "a9", 1, 0, 0)),
        *(planned("b", "b1", 0, 3, 3), planned("a", "a9", 0, 9, 20), planned("a", "a9", 1, 0, 4)),
        *(planned("b", "b1", 0, 3, 8), planned("a", "a1", 0, 2, 6), planned("c", "c1", 0, 4, 5)),
    ]
    assert [tuple(each.values()) for each in sources(read)] == [
        ("a", "a9", 0, 5, 20),
        ("a", "a1", 0, 2, 6),
        ("a", "a9", 1, 0, 4),
        ("b", "b1", 0, 0, 8),
        ("c", "c1", 0, 4, 5),
    ]
    assert sources([]) == []


def test_no_lines_are_the_digest_of_nothing() -> None:
    assert sha256_of([]) == sha("")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v, max_size=3)
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # busy is not wrong
@given(st.dictionaries(st.text(), values, max_size=5))
def test_text_is_json_that_does_not_depend_on_order(manifest: dict[str, object]) -> None:
    written = text(manifest)
    assert json.loads(written) == manifest
    assert text(dict(reversed(manifest.items()))) == written
    assert written.endswith("}\n")
