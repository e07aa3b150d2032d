"""The processes of a run: Python, and the JVM that it started or that started it."""

from __future__ import annotations

import psutil

SPARK = "org.apache.spark.deploy.SparkSubmit"  # how Spark's JVM is known among processes
ENDS_SECONDS = 10.0  # how long the system may take to end a process that was killed


def is_jvm(process: psutil.Process) -> bool:
    """Whether it is a JVM of Spark; not, if it has ended."""
    try:
        return SPARK in process.cmdline()
    except psutil.Error:
        return False


def relatives(process: psutil.Process) -> list[psutil.Process]:
    """Everything below a process, and the JVM above it where spark-submit has started it."""
    parent = process.parent()
    above = [parent] if parent is not None and is_jvm(parent) else []
    return [*above, *process.children(recursive=True)]


def end(process: psutil.Process) -> None:
    """Kills a process and its relatives, stopped ones too; returns when they have ended."""
    try:
        family = [process, *relatives(process)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=ENDS_SECONDS)
