"""The session that the usual way of doing something has."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from processor.local import archive
from processor.local.jars import ensure
from processor.local.places import cache_dir
from processor.session import LOCAL


def usual_session(scratch: Path) -> SparkSession:
    """Spark's and Delta's defaults, with the same jars, heap and class archive as ours."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    jars = ":".join(str(jar) for jar in ensure("spark", cache_dir()))
    delta = ",".join(str(jar) for jar in ensure("delta", cache_dir()))
    settings = {
        "spark.master": "local[*]",
        "spark.driver.memory": LOCAL["spark.driver.memory"],
        "spark.driver.extraClassPath": jars,
        "spark.jars": delta,
        "spark.driver.extraJavaOptions": " ".join(archive.options(lambda _: None)),
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "tables"),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }
    builder = SparkSession.builder.appName("naive")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    # The archive has none of Delta's classes: they are loaded before anybody looks at the clock.
    first = f"file://{scratch}/first"
    spark.range(10).write.format("delta").save(first)
    spark.read.format("delta").load(first).collect()
    return spark
