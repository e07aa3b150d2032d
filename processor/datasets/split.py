"""Splits: a subject is always on one side, in every version of a dataset."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.config import SplitConfig
from processor.datasets.draws import draw

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


def split(subject: Column, config: SplitConfig, salt: str) -> Column:
    """The side of a row, by its subject's draw: test first, then validation, else train."""
    drawn = draw(subject, f"split|{salt}")
    return (
        F.when(drawn < config.test, TEST)
        .when(drawn < config.test + config.validation, VALIDATION)
        .otherwise(TRAIN)
    )
