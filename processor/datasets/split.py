"""Splits: what belongs together is on one side, in every version of a dataset."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.datasets.draws import draw
from processor.loops import SplitConfig

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
EMBARGO = "embargo"
"""Why a row is in no split: it was served within the embargo before a later one.

The embargo is at least the window, so what answers an earlier row happened before that split. It,
or a default, may have become known inside it: a window is closed a grace after its end.
"""


def group(config: SplitConfig) -> Column:
    """What an inference is divided by, of the columns of its event; null where it has none."""
    kind, _, name = config.by.partition(".")
    if kind == "tag":
        return F.col("tags")[name]
    if kind == "feature":
        return F.coalesce(F.col("features_str")[name], F.col("features_num")[name].cast("string"))
    return {"subject": F.col("subject_key"), "session": F.col("session_id")}.get(
        kind, F.lit(None).cast("string")
    )


def split(config: SplitConfig, salt: str) -> Column:
    """The side of a row; null where it is in the embargo before one.

    Columns read: split_group, or inference_id where that is null; response_time for a split by
    time. Both sides of a cut are decided by the row alone, so a later version changes none.
    """
    if config.by == "time":
        return _by_time(F.col("response_time"), config)
    return _by_share(F.coalesce("split_group", "inference_id"), config, salt)


def _by_share(named: Column, config: SplitConfig, salt: str) -> Column:
    """By the group's draw: the first side whose bound it is below, else train."""
    drawn, side = draw(named, salt_of(salt)), F.lit(TRAIN)
    for name, bound in reversed(bounds(config).items()):
        side = F.when(drawn < bound, name).otherwise(side)
    return side


def bounds(config: SplitConfig) -> dict[str, float]:
    """Below what a group's draw puts it on each side that is held out."""
    return {TEST: config.test, VALIDATION: config.test + config.validation}


def salt_of(salt: str) -> str:
    """What a split's draws are made with."""
    return f"split|{salt}"


def _by_time(at: Column, config: SplitConfig) -> Column:
    """Each later split begins at its time, and the one before it ends an embargo earlier."""
    side = F.lit(TRAIN)
    for name, start in ((VALIDATION, config.validation_from), (TEST, config.test_from)):
        if start is not None:
            side = (
                F.when(at >= F.lit(start), name)
                .when(at >= F.lit(start - config.embargo), F.lit(None))
                .otherwise(side)
            )
    return side
