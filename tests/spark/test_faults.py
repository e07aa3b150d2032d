"""What Spark's own errors mean, of files that are gone or damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from processor.errors import Damaged
from processor.faults import explained
from processor.tables import RECEIPTS
from processor.warehouse import Warehouse

DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "of something else": lambda file: file.write_bytes(b"something else"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_read_is_named(
    spark: SparkSession, tmp_path: Path, damage: str
) -> None:
    warehouse = Warehouse(str(tmp_path))
    frame = spark.createDataFrame(RECEIPTS.rows([dict.fromkeys(RECEIPTS.schema.names)]))
    warehouse.append_frame(frame, RECEIPTS, "writer", 1)
    (file,) = (tmp_path / "receipts").glob("0*/*.parquet")
    DAMAGES[damage](file)
    with pytest.raises((Py4JError, PySparkException)) as raised:
        warehouse.frame(spark, RECEIPTS).collect()
    found = explained(raised.value)
    assert isinstance(found, Damaged)
    assert file.name in found.what
    assert "\n" not in found.what
