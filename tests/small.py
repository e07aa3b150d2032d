"""Settings of Spark for little data: starting tasks and compiling plans would be most of it."""

from __future__ import annotations

import json

SMALL = {
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "2g",
    "spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.codegen.wholeStage": "false",
}

AROUND = {"BFP_WITH_PARENT": "1", "BFP__SPARK": json.dumps(SMALL)}
"""The environment of a job that a test runs: it ends with the test, and its data are little."""
