"""A TFRecord file is what TensorFlow writes of the same rows, byte for byte, and tf.data reads it.

TensorFlow is more than a gigabyte; what it wrote of a few rows, and read again as the guide shows,
is in `tensorflow.json`, which names its version and calls. No name there begins with another: of
such names its protobuf puts the longer one first, and the order of a map means nothing.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from processor.datasets.formats.tfrecord import records

GOLDEN = json.loads(Path(__file__).with_name("tensorflow.json").read_text(encoding="utf-8"))
SCHEMA = pa.schema(
    {
        "inference_id": pa.string(),
        "num.age": pa.float64(),
        "str.region": pa.string(),
        "label": pa.string(),
        "weight": pa.float64(),
        "whole": pa.int64(),
        "numbers": pa.list_(pa.float64()),
        "texts": pa.list_(pa.string()),
        "counts": pa.list_(pa.int64()),
    }
)
ABSENT = {"num.age": np.nan, "str.region": ""}
"""What the guide's reader takes where a row has none."""


def written(rows: list[dict[str, Any]]) -> bytes:
    return bytes(records(pa.RecordBatch.from_pylist(rows, SCHEMA)))


def test_a_file_has_the_bytes_that_tensorflow_writes() -> None:
    file = base64.b64decode(GOLDEN["file"])
    assert written(GOLDEN["rows"]) == file
    assert written(GOLDEN["rows"][1:]) != file


@pytest.mark.parametrize("number", range(len(GOLDEN["rows"])))
def test_tf_data_reads_the_rows(number: int) -> None:
    row, read = GOLDEN["rows"][number], GOLDEN["read"][number]
    assert set(read) == {"num.age", "str.region", "label", "weight"}
    for name, value in read.items():
        said = ABSENT[name] if row[name] is None else row[name]
        expected = float(np.float32(said)) if isinstance(said, float) else said
        assert repr(value) == repr(expected), name
