"""Leakage: every planted twin is found, and nothing else, as in plain Python."""

from __future__ import annotations

from itertools import groupby
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from processor.datasets import leakage
from processor.datasets.split import SPLITS
from processor.loops import LeakageConfig

Row = dict[str, Any]
SCHEMA = pa.schema(
    {
        "inference_id": pa.string(),
        "subject_key": pa.string(),
        "num.x": pa.float64(),
        "num.y.z": pa.float64(),
        "str.c": pa.string(),
        "str.said `so`": pa.string(),
        "label": pa.string(),
        "split": pa.string(),
    }
)
FEATURES = ("num.x", "num.y.z", "str.c")
TEXT = "str.said `so`"
ALL = LeakageConfig(text=(TEXT,), similarity=0.8)
WORDS = [f"word{n}" for n in range(400)]


def maybe(rng: Random, value: Any) -> Any:  # noqa: ANN401  # any value
    return value if rng.random() < 0.7 else None


def plain_rows(count: int = 500) -> list[Row]:
    """Few values, so that subjects and contents meet often; texts that do not meet."""
    rng = Random(11)
    return [
        {
            "inference_id": f"i{number:04d}",
            "subject_key": maybe(rng, f"s{rng.randrange(300)}"),
            "num.x": maybe(rng, rng.choice([0.0, -0.0, 1.0, float("nan")])),
            "num.y.z": maybe(rng, float(rng.randrange(8))),
            "str.c": maybe(rng, rng.choice(["", "a", "b", "c", "d"])),
            TEXT: " ".join(rng.choices(WORDS, k=40)) if number % 3 else None,
            "label": rng.choice(["true", "false"]),
            "split": rng.choices(SPLITS, (6, 2, 2))[0],
        }
        for number in range(count)
    ]


ROWS = plain_rows()


def frame(spark: SparkSession, rows: list[Row]) -> DataFrame:
    return spark.createDataFrame(pa.Table.from_pylist(rows, SCHEMA)).repartition(3)


def found(spark: SparkSession, rows: list[Row], config: LeakageConfig = ALL) -> dict[str, Any]:
    told = leakage.summary(leakage.twins(frame(spark, rows), FEATURES, config)).collect()
    held_out = sum(row["split"] != "train" for row in rows)
    return leakage.report(told, held_out, config)


def content(row: Row) -> str | None:
    """What a row says: its values, as text; minus nought is nought."""
    values = [row[name] for name in FEATURES]
    said = [None if v is None else str(v + 0.0) if isinstance(v, float) else v for v in values]
    return repr([*said, row["label"]]) if any(v is not None for v in said) else None


def oracle(rows: list[Row], key: Any) -> dict[str, Any]:  # noqa: ANN401  # a function of a row
    """Rows of a later split that share a key with an earlier one, in plain Python."""
    keyed = sorted((str(key(row)), row["inference_id"], row) for row in rows if key(row))
    pairs, leaked = [], 0
    for _, group in groupby(keyed, lambda each: each[0]):
        mine = [(SPLITS.index(row["split"]), name) for _, name, row in group]
        first, last = min(mine)[0], max(mine)[0]
        later = sorted(each for each in mine if each[0] > first)
        if last > first:
            leaked += len(later)
            pairs.append([later[0][1], min(mine)[1]])
    held_out = sum(row["split"] != "train" for row in rows)
    return {"rows": leaked, "share": leaked / held_out, "examples": sorted(pairs)[:5]}


def test_subjects_and_contents_on_two_sides_are_found(spark: SparkSession) -> None:
    told = found(spark, ROWS)
    assert told["subject"] == oracle(ROWS, lambda row: row["subject_key"])
    assert told["exact"] == oracle(ROWS, content)
    assert told["near"] == {"rows": 0, "share": 0.0, "examples": []}
    assert 0 < told["subject"]["rows"] < told["exact"]["rows"]


def jaccard(one: str, other: str) -> float:
    def shingles(text: str) -> set[str]:
        words = text.lower().split()
        return {" ".join(words[n : n + 3]) for n in range(max(1, len(words) - 2))}

    left, right = shingles(one), shingles(other)
    return len(left & right) / len(left | right)


def twin_of(rng: Random, text: str, changed: int) -> str:
    """The text with its last words exchanged, in other case and with other spaces."""
    words = text.upper().split(" ")
    return "  ".join([*words[: len(words) - changed], *rng.choices(WORDS, k=changed)])


def with_text(row: Row, name: str, text: str, split: str) -> Row:
    return {**row, "inference_id": name, "subject_key": None, TEXT: text, "split": split}


def test_planted_near_duplicates_are_found_and_lesser_ones_are_not(spark: SparkSession) -> None:
    rng = Random(5)
    sources = [row for row in ROWS if row[TEXT] and row["split"] == "train"][:120]
    rows, expected = list(ROWS), set()
    for number, source in enumerate(sources):
        changed = number % 8
        text = twin_of(rng, source[TEXT], changed)
        rows.append(with_text(source, f"p{number:04d}", text, ("validation", "test")[number % 2]))
        if jaccard(source[TEXT], text) >= ALL.similarity:
            expected.add(f"p{number:04d}")
    assert 60 <= len(expected) < 100
    pairs = leakage.twins(frame(spark, rows), FEATURES, ALL).where("check = 'near'").collect()
    assert {row["inference_id"] for row in pairs} == expected
    assert {(row["inference_id"], row["twin"]) for row in pairs} == {
        (name, sources[int(name[1:])]["inference_id"]) for name in expected
    }
    assert all(row["rows"] == 1 for row in pairs)


def test_many_of_one_text_are_counted_and_compared_once(spark: SparkSession) -> None:
    same = "one two three four five"
    rows = [
        with_text(ROWS[0], f"{split}{n:03d}", text, split)
        for split, text in (("train", same), ("test", f" {same}"), ("test", same.upper()))
        for n in range(300)
    ]
    rows = [{**row, "inference_id": f"{n:04d}"} for n, row in enumerate(rows)]
    told = found(spark, rows)
    assert told["near"] == {"rows": 600, "share": 1.0, "examples": [["0300", "0000"]]}


def test_short_texts_are_compared_whole(spark: SparkSession) -> None:
    texts = (("a", "yes", "train"), ("b", "Yes ", "test"), ("c", "no", "test"), ("d", " ", "test"))
    rows = [with_text(ROWS[0], name, text, split) for name, text, split in texts]
    assert found(spark, rows)["near"]["examples"] == [["b", "a"]]
    assert found(spark, rows)["near"]["rows"] == 1


def test_nothing_to_compare_is_nothing_found(spark: SparkSession) -> None:
    config = LeakageConfig(text=("str.nobody-has-it",))
    nothing = {"rows": 0, "share": 0.0, "examples": []}
    assert found(spark, [{**ROWS[0], "split": "test"}], config) == dict.fromkeys(
        ("subject", "exact", "near"), nothing
    )
    assert leakage.twins(frame(spark, ROWS), (), config).where("check = 'exact'").count() == 0


def test_a_limit_that_is_exceeded_is_named_with_a_pair() -> None:
    told = {
        "subject": {"rows": 2, "share": 0.02, "examples": [["late", "early"]]},
        "exact": {"rows": 1, "share": 0.01, "examples": [["x", "y"]]},
    }
    limits = LeakageConfig(limits={"subject": 0.0199, "exact": 0.01})
    ((check, why),) = leakage.refusals(told, limits).items()
    assert check == "subject"
    assert "2 held-out rows leak by subject" in why
    assert "such as late and early" in why
    assert leakage.refusals(told, LeakageConfig()) == {}


@pytest.mark.parametrize("similarity", [0.7, 1.0])
def test_the_threshold_is_inclusive(spark: SparkSession, similarity: float) -> None:
    """Of ten shingles seven in common is 0.7 exactly; all of them, 1."""
    one = " ".join(f"w{n}" for n in range(10))
    other = one if similarity == 1 else " ".join([*one.split()[:9], "x", "w8"])
    text = [with_text(ROWS[0], "a", one, "train"), with_text(ROWS[0], "b", other, "test")]
    config = LeakageConfig(text=(TEXT,), similarity=similarity)
    wanted = int(jaccard(one, other) >= similarity)
    assert found(spark, text, config)["near"]["rows"] == wanted
