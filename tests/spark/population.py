"""A population of answered predictions, and what each trial of a sampling policy made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import reduce
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.datasets import sampling, supervised
from processor.datasets.chain import Chain, chain
from processor.datasets.sampling.base import Policy
from processor.loops import DatasetConfig
from processor.plugins import Registry

Row = dict[str, Any]
Numbers = npt.NDArray[np.float64]

ROWS = 900
BUDGET = 250
MARK = datetime(2016, 3, 1, tzinfo=UTC)
HALF_LIFE = timedelta(days=10)
POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")
ORIGINS = pa.list_(
    pa.struct([("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())])
)

TRIALS: Mapping[str, Mapping[str, Any]] = {
    "all": {"policy": "all"},
    "uniform, rate": {"policy": "uniform", "rate": 0.3},
    "uniform, rows": {"policy": "uniform", "rows": BUDGET},
    "uniform, more rows than there are": {"policy": "uniform", "rows": 10 * ROWS},
    **{
        f"uncertainty, {measure}": {"policy": "uncertainty", "measure": measure, "rows": BUDGET}
        for measure in (
            *("least_confidence", "margin", "entropy", "logged", "vote_entropy", "bald"),
        )
    },
    "uncertainty, nearly all": {"policy": "uncertainty", "measure": "margin", "rows": 750},
    "diverse": {
        "policy": "diverse",
        "rows": BUDGET,
        "by": ["str.sector", "num.age"],
        "digits": 1,
        "cells": 65536,
    },
    "diverse, whole input": {"policy": "diverse", "rows": 60, "cells": 16},
    "importance, inverse": {"policy": "importance", "rows": BUDGET},
    "importance, common": {"policy": "importance", "power": 0.5, "rows": BUDGET, "floor": 0.3},
    "recency": {"policy": "recency", "half_life": "10d", "floor": 0.05},
    "recency, rows": {"policy": "recency", "half_life": "10d", "floor": 0.05, "rows": 100},
    **{
        f"stratified, {how}": {
            "policy": "stratified",
            "by": ["str.sector", "variant"],
            "allocation": how,
            "minimum": 7,
            "rows": BUDGET,
        }
        for how in ("proportional", "equal", "neyman")
    },
    "stratified, correct": {
        "policy": "stratified",
        "by": ["variant"],
        "allocation": "neyman",
        "of": "correct",
        "rows": BUDGET,
    },
    "stratified, label": {"policy": "stratified", "by": ["label"], "rows": BUDGET},
    "chain": {
        "policies": [
            {"policy": "recency", "half_life": "10d", "floor": 0.2},
            {"policy": "stratified", "by": ["variant"], "allocation": "equal", "rows": 120},
        ]
    },
}
"""What is tried; a policy without a trial fails."""


def inference(number: int, rng: Random) -> Row:
    """Sure or not, shown often or rarely, old or new; some fields are empty."""
    shares = [rng.random() ** 3 + 1e-3 for _ in range(rng.choice([2, 3]))]
    names = "abc"[: len(shares)]
    probs = {name: share / sum(shares) for name, share in zip(names, shares, strict=True)}
    return {
        "inference_id": f"i{number}",
        "subject_key": f"s{number}",
        "training_allowed": number % 20 != 1,
        "log_keep_prob": 0.5 if number % 2 else 1.0,
        "class_probs": [] if number % 45 == 3 else list(probs.items()),
        "pred_label": max(probs, key=probs.__getitem__),
        "uncertainty": None if number % 30 == 4 else rng.random() ** 4,
        "propensity": None if number % 30 == 5 else 0.002 + rng.random() ** 5 * 0.998,
        "response_time": MARK - timedelta(seconds=rng.randint(-10 * 86_400, 60 * 86_400)),
        "features_str": [] if number % 40 == 6 else [("sector", rng.choice("xxxxyz"))],
        "variant": rng.choice(["old", "old", "old", "new", None]),
        "committee": committee(probs, Random(number)) if number % 3 else None,
        **asked_of(Random(number)),
    }


def committee(probs: Mapping[str, float], rng: Random) -> list[Row]:
    """Who answers alone, and up to three who lean another way; some say no probabilities."""
    members: list[Row] = [member(probs)]
    for _ in range(rng.randrange(4)):
        shares = {name: p * rng.random() ** 2 + 1e-3 for name, p in probs.items()}
        told = {name: share / sum(shares.values()) for name, share in shares.items()}
        members.append(member(told if rng.random() < 0.9 else {}))
    return members


def member(probs: Mapping[str, float]) -> Row:
    return {
        "pred_label": max(probs, key=probs.__getitem__) if probs else None,
        "class_probs": [{"key": name, "value": p} for name, p in probs.items()],
    }


def asked_of(rng: Random) -> Row:
    """An input: some are of the same few kinds."""
    age = rng.choice([20.0, 20.4, 31.0, 58.0, -0.0, 100 * rng.random()])
    said = rng.choice(["", "Hello, world!", "hello world", "another"])
    return {
        "features_num": [("age", age)],
        "input_json": None,
        "messages": [{"content": said}] if said else [],
    }


def outcome(number: int, said: Row, rng: Random) -> Row:
    """More often wrong where the model was unsure; every 30th was taken back."""
    sure = max((p for _, p in said["class_probs"]), default=0.5)
    label = said["pred_label"] if rng.random() < sure else "c"
    return {
        "inference_id": f"i{number}",
        "state": "RETRACTED" if number % 30 == 7 else "POSITIVE",
        "value": label,
        "reward": rng.choice([0.0, 1.0, 2.5]) if said["variant"] == "new" else float(label == "c"),
        "solicit_prob": rng.choice([None, 0.25, 1.0]),
        "credit": 0.5 if number % 9 == 0 else 1.0,
        "origins": [{"topic": "t", "partition": 0, "offset": number}],
    }


RNG = Random(11)
SAID = [inference(number, RNG) for number in range(ROWS)]
KNOWN = [outcome(number, said, RNG) for number, said in enumerate(SAID)]
ABLE = [
    {**known, **said}
    for known, said in zip(KNOWN, SAID, strict=True)
    if known["state"] != "RETRACTED" and said["training_allowed"]
]
INFERENCES = pa.schema(
    {
        **dict.fromkeys(("inference_id", "subject_key", "pred_label", "variant"), pa.string()),
        "training_allowed": pa.bool_(),
        **dict.fromkeys(("log_keep_prob", "uncertainty", "propensity"), pa.float64()),
        "class_probs": pa.map_(pa.string(), pa.float64()),
        "features_str": pa.map_(pa.string(), pa.string()),
        "features_num": pa.map_(pa.string(), pa.float64()),
        "input_json": pa.string(),
        "messages": pa.list_(pa.struct([("content", pa.string())])),
        "committee": pa.list_(
            pa.struct(
                [
                    ("pred_label", pa.string()),
                    (
                        "class_probs",
                        pa.list_(pa.struct([("key", pa.string()), ("value", pa.float64())])),
                    ),
                ]
            )
        ),
        "response_time": pa.timestamp("us", "UTC"),
    }
)
OUTCOMES = pa.schema(
    {
        **dict.fromkeys(("inference_id", "state", "value"), pa.string()),
        **dict.fromkeys(("reward", "solicit_prob", "credit"), pa.float64()),
        "origins": ORIGINS,
    }
)


def made(name: str) -> Chain:
    return chain(TRIALS[name], POLICIES, "here")


def recipe(name: str) -> supervised.Recipe:
    return supervised.Recipe(DatasetConfig(name="d", seed=1), made(name))


class World:
    """What every trial made of the population, by its name."""

    def __init__(self, known: DataFrame, said: DataFrame) -> None:
        self.known, self.said = known, said
        found = self._union({name: self.candidates(name) for name in TRIALS})
        able = [row for row in found if row["refusal"] is None]
        counts = {name: Counter[tuple[str, ...]]() for name in TRIALS}
        for row in able:
            counts[row["trial"]][tuple(row["cells"])] += 1
        self.counts = {name: dict(count) for name, count in counts.items()}
        self.chances = {name: made(name).allot(self.counts[name]) for name in TRIALS}
        self.decided = {name: self.decide(name) for name in TRIALS}
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in TRIALS}
        for row in self._union(self.decided):
            self.rows[row["trial"]][row["inference_id"]] = row

    def candidates(self, name: str) -> DataFrame:
        keys = self.said.select(
            *("inference_id", "response_time", "training_allowed", "log_keep_prob"),
            F.col("subject_key").alias("split_group"),
            *made(name).reads(),
        )
        return supervised.candidates(self.known, keys, recipe(name), MARK)

    def decide(self, name: str) -> DataFrame:
        return supervised.decide(self.candidates(name), self.chances[name])

    @staticmethod
    def _union(frames: Mapping[str, DataFrame]) -> list[Row]:
        told = [frame.withColumn("trial", F.lit(name)) for name, frame in frames.items()]
        whole = reduce(DataFrame.unionByName, told).drop("origins")
        rows: list[Row] = whole.coalesce(1).toArrow().to_pylist()
        return rows

    def inclusion(self, name: str) -> Numbers:
        """The probability of every row that can be chosen, in the order of `ABLE`."""
        rows = self.rows[name]
        return np.array([rows[row["inference_id"]]["inclusion_prob"] for row in ABLE])
