"""Several questions to Spark at once: while one is planned, the cores work on another."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from pyspark.sql import SparkSession

from processor.session import hush

AT_ONCE = 3  # two keep two cores busy, and one more is being planned


@contextmanager
def at_once(spark: SparkSession) -> Iterator[ThreadPoolExecutor]:
    """A pool to ask from; what is not answered when the block fails, or is left, is cancelled.

    Nothing may be written from it: stages commit in order, from their own thread.
    """
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask")
    try:
        yield pool
    except BaseException:
        # Also on a signal: who waits for the end of the command does not wait for answers.
        with suppress(Exception):
            hush(spark)
            spark.sparkContext.cancelAllJobs()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
