"""One Spark session for all tests of this folder; it starts when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from processor.local.jars import ensure
from processor.local.places import cache_dir
from processor.session import end, session

SMALL = {
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "2g",
    "spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.sql.codegen.wholeStage": "false",
}
"""Little data: starting tasks and planning anew would be most of the time."""


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    started = session(
        "tests", ensure("spark", cache_dir()), SMALL, tmp_path_factory.mktemp("spark")
    )
    yield started
    end(started)


@pytest.fixture
def spark(spark_session: SparkSession) -> Iterator[SparkSession]:
    """The session; what a test caches is gone after it."""
    yield spark_session
    spark_session.catalog.clearCache()
