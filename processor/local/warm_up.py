"""A small job that loads the classes which a run will; its JVM leaves an archive of them.

Run as a program: `warm_up.py ARCHIVE`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro, to_avro

from processor.local.jars import ensure
from processor.local.places import cache_dir
from processor.session import end, session

DUMP_SECONDS = 300.0  # the JVM writes the archive as it ends: ten seconds on two quiet cores
SCHEMA = """{"type": "record", "name": "topLevelRecord",
  "fields": [{"name": "id", "type": "long"}, {"name": "word", "type": ["string", "null"]}]}"""


def main() -> None:
    """Runs the job, and returns when the JVM has ended and written the archive."""
    with tempfile.TemporaryDirectory() as folder:
        dump = [f"-XX:ArchiveClassesAtExit={sys.argv[1]}", "-Xlog:cds=off:stderr"]
        jars = ensure("spark", cache_dir())
        spark = session("bfp-warm-up", jars, {}, Path(folder), dump)
        _job(spark, folder)
        end(spark, DUMP_SECONDS)


def _job(spark: SparkSession, folder: str) -> None:
    """Avro, joins, aggregates and Parquet both ways, on a few rows."""
    rows = spark.range(1000).withColumn("word", F.concat(F.lit("w"), F.col("id") % 7))
    rows.select(to_avro(F.struct("id", "word")).alias("value")).write.parquet(
        f"file://{folder}/table"
    )
    read = spark.read.parquet(f"file://{folder}/table")
    back = read.select(from_avro("value", SCHEMA).alias("e")).select("e.*")
    first = back.groupBy("word").agg(F.min_by("id", F.struct("id")).alias("first"))
    joined = back.join(first, "word", "left_semi").join(F.broadcast(first), "word")
    joined.repartition(2).write.parquet(f"file://{folder}/other")
    joined.groupBy("word").agg(F.array_sort(F.collect_list(F.struct("word")))).collect()


if __name__ == "__main__":
    main()
