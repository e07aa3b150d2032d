"""parquet: Apache Parquet, zstd."""

from __future__ import annotations

from pyspark.sql import DataFrame

from processor.datasets.formats.base import Format


def write(rows: DataFrame, uri: str) -> None:
    """One Parquet file for each split of each partition."""
    rows.write.partitionBy("split").option("compression", "zstd").mode("overwrite").parquet(uri)


ENTRY = Format("parquet", ".parquet", write)
