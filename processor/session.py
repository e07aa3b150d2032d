"""The one factory of Spark sessions.

`builder.config` beats `spark-submit --conf`, so only what correctness needs is set always;
sizes and places are set only where no spark-submit has set them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from processor.avro.decode import jvm_limits
from processor.config import LimitsConfig

CORRECTNESS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # else readers see no time zone
}
"""Without these a result could differ."""

FAST = {
    # Else each operation on a column asks the JVM six times, and both sides look up who called.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.sql.dataFrameQueryContext.enabled": "false",
    # HotSpot compiles no method of more bytecode than this, and interprets it for ever.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Files of one topic each, without sorting every row by its topic first.
    "spark.sql.maxConcurrentOutputFileWriters": "16",
    # One or two files of the log are a task, and so become one file of the typed table.
    "spark.sql.files.maxPartitionBytes": str(256 << 20),
    # Files of tables are named, not searched for: of thousands, so many tasks ask for the sizes.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "32",
    # What is cached are ids and origins: to look for a shorter encoding costs more than it saves.
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
    # Keys and values of records repeat too seldom for dictionaries.
    "spark.hadoop.parquet.enable.dictionary#key": "false",
    "spark.hadoop.parquet.enable.dictionary#value": "false",
}
"""What makes the same result in less time (docs/adr/0010); spark-submit may say otherwise."""

THROUGHPUT = (
    # Nobody waits for a batch's next millisecond, and a few cores have better to do.
    "-XX:+UseParallelGC",
    # Ten times HotSpot's own: most of the code that plans a small batch runs too seldom for its
    # second compiler to be worth a core; what runs for every row gets there all the same.
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
    "-XX:ReservedCodeCacheSize=512m",  # address space for it, of which little is used
)
"""Options of the driver's JVM where it is also the only executor (docs/adr/0010)."""

LOCAL = {
    "spark.driver.memory": "3g",
    "spark.driver.defaultJavaOptions": " ".join(THROUGHPUT),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}
"""One machine, one user, a quiet terminal."""


EXECUTOR_OPTIONS = "spark.executor.extraJavaOptions"
LOGGING = Path(__file__).parent / "log4j2.properties"
ENDS_SECONDS = 20.0  # a JVM with nothing to do takes less than one
LIMITS = LimitsConfig()
JVM = (
    f"-Dlog4j2.configurationFile=file:{LOGGING}",
    "-XX:-UsePerfData",
    "-Xlog:disable",
    "-Xlog:all=warning:stderr",
)
"""Options of the driver's JVM: errors only in its log, no file of counters in /tmp, and its own
warnings where they are not taken for the command's output."""


def submitted() -> bool:
    """Whether spark-submit started this process, and so brings master, jars and sizes."""
    return "PYSPARK_GATEWAY_PORT" in os.environ or "SPARK_ENV_LOADED" in os.environ


def session(
    app: str,
    jars: Iterable[Path] = (),
    extra: Mapping[str, str] | None = None,
    scratch: Path | None = None,
    jvm: Iterable[str] = (),
    limits: LimitsConfig = LIMITS,
) -> SparkSession:
    """The session of this process, whose JVMs decode nothing beyond `limits`.

    `jars`, `scratch` and `jvm` (options of the driver's JVM) matter only where spark-submit has
    not started it.
    """
    settings = dict(CORRECTNESS)
    limiting = tuple(f"-D{key}={value}" for key, value in jvm_limits(limits).items())
    if submitted():
        settings[EXECUTOR_OPTIONS] = " ".join((*_submitted_options(limits), *limiting))
        given = SparkConf()
        settings |= {key: value for key, value in FAST.items() if not given.contains(key)}
    else:
        # Workers would otherwise take the first python3 on the path, which has no pyarrow.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings |= FAST | LOCAL | {"spark.master": "local[*]"}
        paths = [str(jar) for jar in jars]
        settings["spark.jars"] = ",".join(paths)  # for executors elsewhere
        settings["spark.driver.extraClassPath"] = ":".join(paths)
        settings["spark.driver.extraJavaOptions"] = " ".join(
            (*JVM, *limiting, *_places(scratch), *jvm)
        )
        if scratch is not None:
            settings |= _scratch(scratch)
    settings |= dict(extra or {})
    builder = SparkSession.builder.appName(app)
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def end(spark: SparkSession, seconds: float = ENDS_SECONDS) -> None:
    """Stops the session, and waits for the end of the JVM if this process has started it.

    A JVM that has not ended after so many `seconds` is killed.
    """
    gateway = cast("Any", SparkContext._gateway)  # noqa: SLF001  # its process has no other name
    jvm: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    try:
        hush(spark)
        spark.stop()
    except Exception:
        # A signal that came in the middle of a call: nothing can be asked of the JVM any more.
        if jvm is not None:
            jvm.kill()
            jvm.wait()
        raise
    if jvm is None or jvm.stdin is None:
        return
    gateway.shutdown()
    jvm.stdin.close()  # what Spark's JVM takes as the sign to end
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001  # a later session starts its own
    try:
        jvm.wait(seconds)
    except subprocess.TimeoutExpired:
        jvm.kill()
        jvm.wait()


def hush(spark: SparkSession) -> None:
    """From now on the JVM logs nothing: what tasks lose when they are cancelled is no news."""
    spark.sparkContext.setLogLevel("OFF")


def _submitted_options(limits: LimitsConfig) -> Iterable[str]:
    """What spark-submit was given for executors; its driver runs already, and is limited here."""
    SparkContext._ensure_initialized()  # noqa: SLF001  # there is no public way to reach the JVM
    jvm = cast("Any", SparkContext._jvm)  # noqa: SLF001  # as above
    for key, value in jvm_limits(limits).items():
        jvm.java.lang.System.setProperty(key, value)
    return SparkConf().get(EXECUTOR_OPTIONS, "").split()


def _scratch(folder: Path) -> dict[str, str]:
    """Everything that Spark writes on the side stays under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "spark-warehouse"),
    }


def _places(folder: Path | None) -> tuple[str, ...]:
    """Everything that the JVM writes on the side stays there too."""
    if folder is None:
        return ()
    return f"-Djava.io.tmpdir={folder}", f"-Dderby.system.home={folder}"
