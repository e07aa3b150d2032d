"""The guide's snippets run, in their order, on a version in every format."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import config as hugging_face
from pyspark.sql import SparkSession

from processor.datasets import formats
from processor.datasets.formats.base import Format
from processor.datasets.manifest import splits, text
from processor.datasets.split import SPLITS
from processor.datasets.store import Store
from processor.loops import DatasetConfig
from processor.plugins import Registry
from processor.stages.dataset_files import lay, write
from processor.tables import DATASETS
from processor.warehouse import Warehouse

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "datasets.md"
FORMATS: Registry[Format] = Registry(formats, "dataset format")
ROWS = 60
BLANK = dict.fromkeys(("code_version", "config_hash")) | {
    name: {} for name in ("dropped", "quality", "leakage", "recipe")
}
"""What a manifest says besides."""
ELSEWHERE = {"tensorflow"}
"""What a reader may have; this project does not."""


def rows() -> pa.Table:
    return pa.table(
        {
            "inference_id": [f"i{n:02d}" for n in range(ROWS)],
            "subject_key": [f"s{n}" for n in range(ROWS)],
            "num.age": [None if n % 7 == 0 else n / 10 for n in range(ROWS)],
            "str.region": [None if n % 5 == 0 else "north" for n in range(ROWS)],
            "label": [str(n % 2 == 0).lower() for n in range(ROWS)],
            "weight": [1.0 + n % 3 for n in range(ROWS)],
            "split": [SPLITS[n % 3] for n in range(ROWS)],
        }
    )


def snippets() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    needs = [set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE)) for code in found]
    missing = {name for name in ELSEWHERE if find_spec(name) is None}
    return [code for code, names in zip(found, needs, strict=True) if not names & missing]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:pandas")
def test_every_snippet_runs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path / "dataset_files" / "employment-train" / "v000001"))
    laid = lay(spark.createDataFrame(rows()), ROWS, DatasetConfig(name="employment-train"))
    made = write(laid, store, list(FORMATS))
    told = {"rows_sha256": made.rows_sha256, "splits": splits(made.files), "row_count": ROWS}
    store.finish(text({**BLANK, **told, "schema": json.loads(laid.schema_json)}))
    row = {"dataset": "employment-train", "version": "v000001", "batch_id": 1, "row_count": ROWS}
    blank = dict.fromkeys(DATASETS.schema.names)
    Warehouse(str(tmp_path)).append_once(DATASETS, [{**blank, **row}], "compile/datasets", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hugging_face, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("BFP__WAREHOUSE", str(tmp_path))
    monkeypatch.setenv("BFP__LOOPS", str(GUIDE.parents[2] / "conf" / "loops"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    names: dict[str, Any] = {}
    for code in snippets():
        exec(compile(code, str(GUIDE), "exec"), names)  # noqa: S102  # what the guide shows
    assert len(snippets()) >= 10
    assert len(names["train"]) == names["count"][0][0] == ROWS / len(SPLITS)
    assert names["shares"]["rows"].sum() == sum(rows()["weight"].to_pylist()[::3])
    assert (names["first"], names["changed"]["in_both"]) == ("employment-train/v000001", 0)
    assert names["train"][0] == {"label": b"true", "weight": [1.0]}
