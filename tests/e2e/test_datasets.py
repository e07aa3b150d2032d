"""The demo's dataset versions, listed, compared, built again and explained by the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from processor.config import Config, load
from processor.stages.explain_event import explain_event
from processor.warehouse import Warehouse
from tests.e2e import oracle
from tests.e2e.tables import Home
from tests.e2e.test_commands import bfp

NAME = "employment-train"
VERSIONS = ("v000001", "v000002", "v000003")
EVENTS = 8  # asked of each timing
NO_JAVA = "/none"


def asked(demo: Home, *words: str, path: str | None = NO_JAVA) -> Any:  # noqa: ANN401  # any document
    ended = bfp(*words, config=demo.path / "bfp.yaml", path=path)
    assert ended.code == 0, ended.document
    return ended.document


def counts(demo: Home, version: str) -> dict[str, int]:
    """Rows by split, as DuckDB counts them in the files."""
    rows = demo.dataset().query("version == @version")
    return {str(split): int(n) for split, n in rows.groupby("split").size().items()}


def test_versions_are_listed_and_shown_as_the_files_hold_them(demo: Home) -> None:
    listed = asked(demo, "dataset", "list")
    assert listed["refused"] == []
    assert [row["version"] for row in listed["versions"]] == list(VERSIONS)
    for row in listed["versions"]:
        shown = asked(demo, "dataset", "show", f"{NAME}/{row['version']}")
        expected = counts(demo, row["version"])
        for told in (row, shown):
            assert {split["name"]: split["rows"] for split in told["splits"]} == expected
            assert told["row_count"] == sum(expected.values())
        file = demo.path / "warehouse/dataset_files" / NAME / row["version"] / "manifest.json"
        manifest = json.loads(file.read_text())
        assert {key: shown[key] for key in manifest} == manifest
    assert asked(demo, "dataset", "list", "--dataset", NAME)["versions"] == listed["versions"]


def test_two_versions_differ_as_pandas_finds(demo: Home) -> None:
    rows = demo.dataset()
    one, other = (rows[rows["version"] == each] for each in VERSIONS[1:])
    told = asked(demo, "dataset", "diff", *(f"{NAME}/{each}" for each in VERSIONS[1:]))
    both = one.merge(other, on="inference_id", suffixes=("_a", "_b"))
    assert told["rows"]["in_both"] == len(both)
    assert told["rows"]["added"] == len(set(other["inference_id"]) - set(one["inference_id"]))
    assert told["rows"]["removed"] == len(set(one["inference_id"]) - set(other["inference_id"]))
    for name in ("label", "split", "weight"):
        assert told["rows"][name] == (both[f"{name}_a"] != both[f"{name}_b"]).sum()
    first = sorted(set(other["inference_id"]) - set(one["inference_id"]))[:5]
    assert told["rows"]["examples"]["added"] == first
    assert told["counts"]["rows"] == [len(one), len(other)]
    assert (told["schema"], told["recipe"], told["made_by"]) == ({}, {}, {})


def test_a_version_is_built_again_and_what_was_changed_is_found(demo: Home, tmp_path: Path) -> None:
    copy = tmp_path / "warehouse"
    shutil.copytree(demo.path / "warehouse", copy)
    changed = copy / "dataset_files" / NAME / VERSIONS[1] / "parquet/train/part-00000.parquet"
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    words = ("dataset", "rebuild", f"{NAME}/{VERSIONS[1]}", "--set", f"warehouse={copy}")
    ended = bfp(*words, config=demo.path / "bfp.yaml")
    assert (ended.code, ended.document["identical"]) == (3, False)
    (difference,) = ended.document["differences"]
    whole = demo.manifests()[VERSIONS[1]]["splits"]
    (train,) = (split for split in whole if split["name"] == "train")
    assert difference.startswith("parquet/train/part-00000.parquet is ")
    assert difference.endswith(train["files"][0]["sha256"])
    other = ("--set", "batch.watermark_tolerance=9m")
    refused = bfp(*words, *other, config=demo.path / "bfp.yaml", path=NO_JAVA)
    assert refused.code == 2
    assert "--as-built" in refused.document["remedy"]


def test_why_a_row_is_in_a_version(demo: Home) -> None:
    placed = demo.table("dataset_rows").set_index("version").loc[VERSIONS[1]].iloc[0]
    name = f"{NAME}/{VERSIONS[1]}"
    told = asked(demo, "explain", "row", name, placed["inference_id"], path=None)
    decision = told["decision"]
    assert (told["is_in"], decision["reason"]) == (True, "kept")
    assert decision["label"] == placed["label"]
    assert decision["split"]["side"] == placed["split"]
    assert decision["weight"]["weight"] == placed["weight"]
    assert {f"{o['topic']}/{o['partition']}/{o['offset']}" for o in placed["origins"]} == set(
        told["ledger"][-1]["origins"]
    )
    later = asked(demo, "explain", "row", f"{NAME}/{VERSIONS[2]}", placed["inference_id"])
    assert later["why"].endswith("v000002 was made with it")


@pytest.fixture(scope="module")
def config(demo: Home) -> Config:
    return load(demo.path / "bfp.yaml", (), {})


def test_what_became_of_answers_is_what_the_oracle_says(demo: Home, config: Config) -> None:
    answers = oracle.answers(demo.events, 3)
    warehouse = Warehouse(config.warehouse)
    chosen = answers.groupby("timing").head(EVENTS)
    assert set(chosen["timing"]) == {"on_time", "late", "outside"}
    for answer in chosen.itertuples():
        told = explain_event(config, warehouse, _place(demo.events, answer.event_id))
        (landing,) = told["landings"]
        (about,) = landing["about"]
        assert landing["batch"] == answer.batch_id
        assert about["inference_id"] == answer.inference_id
        assert about["what"] == f"an answer that is {answer.timing.upper()}"
        assert about["value"] == str(answer.value_bool).lower()


def _place(events: pd.DataFrame, event_id: object) -> str:
    first = events[events["event_id"] == event_id].sort_values(["batch_id", "partition", "offset"])
    row = first.iloc[0]
    return f"{row['topic']}/{row['partition']}/{row['offset']}"
