"""The decision on one candidate of a version, computed again as `compile` computes it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from pyspark.sql import functions as F

from processor.datasets import supervised
from processor.datasets.draws import draw_one
from processor.datasets.split import bounds, salt_of
from processor.stages.base import Context
from processor.stages.choices import Parent, candidates, chances, keys_of
from processor.stages.pipeline import stored_batch
from processor.stages.recipes import Source

Row = dict[str, Any]
_WEIGHT = ("credit", "log_keep_prob", "solicit_prob", "inclusion_prob", "weight")


def decided(
    context: Context, source: Source, parent: Parent, batch_id: int, inference_id: str
) -> Row:
    """The reason, the split, the sampling and the weight of one candidate, with their draws."""
    batch = stored_batch(context.warehouse, batch_id)
    asked = candidates(context, batch, source.loop, source.recipe, parent)
    mine = F.col("inference_id") == inference_id
    likely = chances(asked.frame, source.recipe)
    (row,) = supervised.weighed(asked.frame, likely).where(mine).collect()
    keys = keys_of(context, batch, source.loop, source.recipe, asked.since)
    (key,) = keys.where(mine).select("split_group", "response_time").collect()
    return {
        **{name: row[name] for name in ("reason", "label", "drawn", "inclusion_prob")},
        "split": {
            "side": row["split"],
            **_split(source.recipe, key["split_group"] or inference_id),
            "response_time": key["response_time"].astimezone(UTC),  # Spark names no zone
        },
        "sampling": {
            "salt": source.recipe.sampling_salt,
            "draw": row["drawn"],
            "cells": _cells(source.recipe, row["cells"]),
            "inclusion_prob": row["inclusion_prob"],
        },
        "weight": {name: row[name] for name in _WEIGHT},
    }


def _split(recipe: supervised.Recipe, name: str) -> Row:
    """What a row is divided by: a draw and its bounds, or two points in time."""
    config = recipe.config.split
    if config.by == "time":
        cuts = config.model_dump(include={"validation_from", "test_from", "embargo"})
        return {"by": config.by, **cuts}
    salt = salt_of(recipe.salt)
    drawn = draw_one(name, salt)
    return {"by": config.by, "name": name, "salt": salt, "draw": drawn, "below": bounds(config)}


def _cells(recipe: supervised.Recipe, cells: list[str]) -> list[Row]:
    """The cell of a row in each policy."""
    names = (link.policy.name for link in recipe.chain.links)
    return [{"policy": name, "cell": cell} for name, cell in zip(names, cells, strict=True)]
