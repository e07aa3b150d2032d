"""What tests share: one broker and registry, one Spark session, and an end when make ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from processor.local import archive
from processor.local.attached import end_when_asked
from processor.local.jars import ensure
from processor.local.places import cache_dir
from processor.local.stack import Stack, running
from processor.session import end, session
from tests.small import DELTA, SMALL


def pytest_configure() -> None:
    """Who kills make kills the tests, by an exception that neither they nor libraries catch.

    pytest takes a SystemExit for one more failed test, and its own Exit is an Exception.
    """
    end_when_asked()
    os.environ["HF_HUB_OFFLINE"] = "1"  # else `datasets` tells the network of every file it reads
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings.register_profile("untimed", deadline=None)  # a busy machine is not a failure
    settings.load_profile("untimed")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker and a registry of this session's own, started when a test first asks for them."""
    with running(tmp_path_factory.mktemp("stack"), lambda _: None) as services:
        yield services


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Delta's Spark is there to read what this software wrote, which never uses it."""
    jars, scratch = ensure("spark", cache_dir()), tmp_path_factory.mktemp("spark")
    delta = {"spark.jars": ",".join(map(str, ensure("delta", cache_dir())))}
    started = session("tests", jars, {**SMALL, **DELTA, **delta}, scratch, archive.options(print))
    yield started
    end(started)


@pytest.fixture
def spark(spark_session: SparkSession) -> Iterator[SparkSession]:
    """The session; what a test caches is gone after it."""
    yield spark_session
    spark_session.catalog.clearCache()
