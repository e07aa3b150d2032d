"""Asking Spark several things at once."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from pyspark.sql import SparkSession

from processor.local.service import wait_for
from processor.stages.at_once import at_once

ENDLESS = 10**11  # rows: minutes of work
SECONDS = 60.0  # to begin it


def test_when_one_part_fails_the_others_are_cancelled(spark_session: SparkSession) -> None:
    tracker = spark_session.sparkContext.statusTracker()

    def endless() -> object:
        return spark_session.range(ENDLESS).selectExpr("sum(id % 7)").collect()

    def fails() -> None:
        with at_once(spark_session) as pool:
            asked.append(pool.submit(endless))
            assert wait_for(lambda: bool(tracker.getActiveJobsIds()), SECONDS)
            raise ValueError("another part")

    asked: list[Future[object]] = []
    with pytest.raises(ValueError, match="another part"):
        fails()
    assert asked[0].exception() is not None
    assert not tracker.getActiveJobsIds()


def test_answers_come_in_the_order_in_which_they_were_asked_for(
    spark_session: SparkSession,
) -> None:
    sizes = [300_000, 1, 20, 7, 4]
    with at_once(spark_session) as pool:
        counted = list(pool.map(lambda size: spark_session.range(size).count(), sizes))
    assert counted == sizes
