"""Spark for a command: started when it is first asked for, stopped when the command ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from processor.config import LimitsConfig
from processor.faults import explained
from processor.local import archive
from processor.local.jars import ensure
from processor.local.java import java
from processor.local.places import cache_dir
from processor.local.scratch import scratch
from processor.session import LIMITS, end, session, submitted


@contextmanager
def on_demand(
    settings: Mapping[str, str],
    say: Callable[[str], None],
    limits: LimitsConfig = LIMITS,
) -> Iterator[Callable[[], SparkSession]]:
    """A function that gives the one session of the block, started when it is first called.

    Its JVMs decode nothing beyond `limits`.

    Raises, when called:
        ConfigError: there is no Java, or one that Spark cannot run on.
        Unavailable: the jars cannot be fetched, or the cache cannot be written.

    What Spark raises in the block leaves it as the error of this project that it means, if any.
    """
    with scratch() as aside:

        @cache
        def start() -> SparkSession:
            say("starting Spark")
            if submitted():
                return session("bfp", extra=settings, limits=limits)
            java()
            jars = ensure("spark", cache_dir(), say)
            return session("bfp", jars, settings, aside, archive.options(say), limits)

        try:
            yield start
        except (Py4JError, PySparkException) as raised:
            # Here its text can still be had: it is the JVM's, which ends below.
            error = explained(raised)
            if error is None:
                raise
            raise error from raised
        finally:
            if start.cache_info().currsize:
                end(start())
