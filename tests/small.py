"""Settings of Spark for little data: starting tasks and compiling plans would be most of it."""

from __future__ import annotations

import json
import os

from processor.local.attached import VARIABLE

FOR_MINUTES = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC -Xms1g -Xmn640m"
)
"""A JVM for minutes: one compiler, with as much room for code as two would have, else it stops; and
a heap that is there at once: most of what a plan leaves behind dies young."""

LITTLE = {
    "spark.driver.defaultJavaOptions": FOR_MINUTES,
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.ui.enabled": "false",
}
"""What anybody sets for little data, on one machine or many; nothing of it matters to results."""

SMALL = {
    **LITTLE,
    "spark.master": "local[2]",
    "spark.driver.memory": "2g",
    # Few rows are read sooner than code for them is made; tests/e2e/test_cluster.py makes it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}

DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "1",
}
"""What Delta's Spark asks for."""

AROUND = {
    VARIABLE: os.environ.get(VARIABLE, str(os.getpid())),
    "BFP__SPARK": json.dumps(SMALL),
}
"""The environment of a job that a test runs: it ends with the tests, and its data are little."""
