"""The baseline's own history, read as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from processor.errors import ConfigError
from processor.loops import LoopConfig
from processor.stages.reference import reference

ROWS = {
    "age": pa.array([30, None, 50, 20], pa.int16()),
    "pay": pa.array([1.5, 2.5, None, 0.0], pa.float32()),
    "sex": pa.array(["f", "m", "f", None]),
    "job": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "pred_label": pa.array(["true", "true", "false", "false"]),
    "pred_score": pa.array([0.9, 0.8, 0.2, 0.1]),
    "label": pa.array(["true", "false", "false", "true"]),
}


def loop(path: Path | None) -> LoopConfig:
    return LoopConfig.model_validate(
        {
            "loop": "a",
            "model": "m",
            "outcome": {"metric": "x", "from": "ground_truth", "window": "1d"},
            "slices": ["sex"],
            "reference": path and {"model_version": "7", "path": path},
        }
    )


def written(folder: Path, **changed: pa.Array | None) -> Path:
    columns = {k: v for k, v in {**ROWS, **changed}.items() if v is not None}
    pq.write_table(pa.table(columns), folder / "r.parquet")
    return folder / "r.parquet"


def test_a_loop_without_a_reference_has_none() -> None:
    assert reference(loop(None)) is None


def test_features_are_what_is_neither_slice_nor_answer(tmp_path: Path) -> None:
    found = reference(loop(written(tmp_path)))
    assert found is not None
    assert found.model_version == "7"
    assert found.features == ("age", "pay", "job")
    numeric = found.numeric()
    np.testing.assert_array_equal(numeric["age"], [30.0, np.nan, 50.0, 20.0])
    np.testing.assert_array_equal(numeric["pay"], [1.5, 2.5, np.nan, 0.0])
    assert found.categorical() == {"job": ["a", None, "b", "a"]}
    assert set(numeric) == {"age", "pay"}


def test_accuracy_is_the_share_of_right_predictions_overall_and_by_slice(tmp_path: Path) -> None:
    found = reference(loop(written(tmp_path)))
    assert found is not None
    assert found.accuracy(("sex",)) == {"all": 0.5, "sex=f": 1.0, "sex=m": 0.0}


@pytest.mark.parametrize("column", ["pred_label", "label", "sex"])
def test_a_column_that_lacks_is_named(tmp_path: Path, column: str) -> None:
    path = written(tmp_path, **{column: None})
    with pytest.raises(ConfigError, match=f"no column {column}"):
        reference(loop(path))


def test_a_file_that_is_not_there_or_no_parquet_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as absent:
        reference(loop(tmp_path / "none.parquet"))
    assert str(tmp_path / "none.parquet") in absent.value.remedy
    (tmp_path / "text.parquet").write_text("no parquet", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        reference(loop(tmp_path / "text.parquet"))


def test_unanswered_rows_are_no_wrong_predictions(tmp_path: Path) -> None:
    labels = pa.array(["true", None, None, "true"])
    found = reference(loop(written(tmp_path, label=labels)))
    assert found is not None
    assert found.accuracy(()) == {"all": 0.5}
