"""Rows with every type a dataset's column can have, and every value that is easily lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from processor.datasets.formats.base import Format
from processor.datasets.manifest import File
from processor.datasets.split import SPLITS
from processor.datasets.store import Store

ROWS = 600
EARLY, LATE = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
TIMES = (EARLY, LATE, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
NUMBERS = (0.0, -0.0, 0.1, 3.0, 1e300, -1e300, 5e-324, float("nan"), float("inf"), float("-inf"))
TEXTS = ("", " ", "Grüße", "日本語", "\x00", 'a "quoted" \\ %s %', "two\nlines\r\u2028", "x" * 300)
WHOLE = (0, 1, -1, 127, 128, 2**53 + 1, 2**63 - 1, -(2**63))

COLUMNS: dict[str, tuple[pa.DataType, Callable[[Random], Any]]] = {
    "response_time": (
        pa.timestamp("us", "UTC"),
        lambda rng: rng.choice((*TIMES, TIMES[2] + timedelta(microseconds=rng.randrange(10**16)))),
    ),
    "num.x": (pa.float64(), lambda rng: rng.choice((*NUMBERS, rng.gauss(0, 1)))),
    "num.never": (pa.float64(), lambda _: None),
    "str.c": (pa.string(), lambda rng: rng.choice(TEXTS)),
    'str.50% of "é", b': (pa.string(), lambda rng: rng.choice(TEXTS)),
    "whole": (pa.int64(), lambda rng: rng.choice(WHOLE)),
    "flag": (pa.bool_(), lambda rng: rng.random() < 0.5),
    "numbers": (pa.list_(pa.float64()), lambda rng: rng.choices(NUMBERS, k=rng.randrange(3))),
    "texts": (pa.list_(pa.string()), lambda rng: rng.choices(TEXTS, k=rng.randrange(3))),
    "wholes": (pa.list_(pa.int64()), lambda rng: rng.choices(WHOLE, k=rng.randrange(3))),
    "said": (
        pa.list_(pa.struct([("role", pa.string()), ("score", pa.float64())])),
        lambda rng: [{"role": rng.choice(TEXTS), "score": rng.choice(NUMBERS)}],
    ),
    "params": (
        pa.map_(pa.string(), pa.float64()),
        lambda rng: [("z", rng.choice(NUMBERS)), ("a", 1.0)],
    ),
    "weight": (pa.float64(), lambda rng: 1 / (0.1 + rng.random())),
}
SCHEMA = pa.schema(
    [
        ("inference_id", pa.string()),
        *((name, kind) for name, (kind, _) in COLUMNS.items()),
        ("split", pa.string()),
    ]
)
NULL_SHARE = 0.2


def table(seed: int = 1) -> pa.Table:
    """Some rows; the same for the same seed."""
    rng = Random(seed)
    rows = [
        {
            "inference_id": f"i{number:04d}",
            **{
                name: None if rng.random() < NULL_SHARE else make(rng)
                for name, (_, make) in COLUMNS.items()
            },
            "split": rng.choice(SPLITS),
        }
        for number in range(ROWS)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def finite(rows: pa.Table) -> pa.Table:
    """The rows with a number wherever one was none, or without end."""
    told = [{name: _finite(value) for name, value in row.items()} for row in rows.to_pylist()]
    return pa.Table.from_pylist(told, rows.schema)


def _finite(value: Any) -> Any:  # noqa: ANN401  # rows hold anything
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return 7.25 if isinstance(value, float) and not isfinite(value) else value


def frame(spark: SparkSession, rows: pa.Table, parts: int = 2) -> DataFrame:
    """The rows as a version lays them."""
    made = spark.createDataFrame(rows)
    return made.repartition(parts, "inference_id").sortWithinPartitions("split", "inference_id")


def stored(rows: DataFrame, form: Format, folder: Path) -> list[File]:
    """The files of a version in one format."""
    store = Store(str(folder))
    store.begin()
    form.write(rows, f"{store.aside_uri}/_spark/{form.name}")
    found = list(store.collect(form, SPLITS))
    found += store.index(form, found, rows.drop("split").schema.json())
    store.finish("{}")
    return found
