"""parquet: Apache Parquet, zstd; a null is a null."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from processor.datasets.formats.base import Format

OPTIONS = {
    "compression": "zstd",
    # A footer lists a column's encodings in an order that differs from one JVM to the next; so
    # each column has one: version 2 counts none for levels, and without dictionaries none is added.
    "parquet.writer.version": "PARQUET_2_0",
    "parquet.enable.dictionary": "false",
}


def write(rows: DataFrame, uri: str) -> None:
    """One Parquet file for each split of each partition."""
    rows.write.partitionBy("split").options(**OPTIONS).mode("overwrite").parquet(uri)


def count(source: pa.NativeFile) -> int:
    """The number that the footer says."""
    return int(pq.ParquetFile(source).metadata.num_rows)


ENTRY = Format("parquet", ".parquet", write, count)
