"""The one factory of Spark sessions.

`builder.config` beats `spark-submit --conf`, so only what correctness needs is set always;
sizes and places are set only where no spark-submit has set them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyspark.sql import SparkSession

CORRECTNESS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
"""Without these a result could differ, or Delta would not be there."""

LOCAL = {
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "8",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}
"""One machine, one user, a quiet terminal."""


def submitted() -> bool:
    """Whether spark-submit started this process, and so brings master, jars and sizes."""
    return "PYSPARK_GATEWAY_PORT" in os.environ or "SPARK_ENV_LOADED" in os.environ


def session(
    app: str,
    jars: Iterable[Path] = (),
    extra: Mapping[str, str] | None = None,
    scratch: Path | None = None,
) -> SparkSession:
    """The session of this process; `jars` and `scratch` matter only where none submitted it."""
    settings = dict(CORRECTNESS)
    if not submitted():
        # Workers would otherwise take the first python3 on the path, which has no pyarrow.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        settings |= LOCAL | {"spark.master": "local[*]"}
        settings["spark.jars"] = ",".join(str(jar) for jar in jars)
        if scratch is not None:
            settings |= _scratch(scratch)
    settings |= dict(extra or {})
    builder = SparkSession.builder.appName(app)
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _scratch(folder: Path) -> dict[str, str]:
    """Everything that Spark and the JVM write on the side stays under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"-Djava.io.tmpdir={folder} -Dderby.system.home={folder} -XX:-UsePerfData"
    return {
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
        "spark.driver.extraJavaOptions": options,
    }
