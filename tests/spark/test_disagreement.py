"""How unsure models are, alone and together: modAL's numbers, to the last digits.

modAL does not install beside what is installed here; what it says is in `disagreement.json`, which
names its version and calls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from processor.datasets.disagreement import COMMITTEE
from processor.datasets.sampling.uncertainty import MEASURES

GOLDEN = json.loads(Path(__file__).with_name("disagreement.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = GOLDEN["cases"]
EXACT = 1e-12
ENTRIES = pa.list_(pa.struct([("key", pa.string()), ("value", pa.float64())]))
PLANTED = pa.schema(
    {
        "place": pa.int64(),
        "uncertainty": pa.float64(),
        "class_probs": pa.map_(pa.string(), pa.float64()),
        COMMITTEE: pa.list_(pa.struct([("pred_label", pa.string()), ("class_probs", ENTRIES)])),
    }
)


def planted(place: int, members: list[dict[str, float]], votes: list[str | None]) -> dict[str, Any]:
    entries = [[{"key": name, "value": p} for name, p in each.items()] for each in members]
    told = zip(votes, entries, strict=True)
    return {
        "place": place,
        "class_probs": list(members[0].items()) if members else [],
        COMMITTEE: [{"pred_label": vote, "class_probs": each} for vote, each in told],
    }


def measured(spark: SparkSession, rows: list[dict[str, Any]]) -> dict[str, list[float | None]]:
    """Each measure of each row, in their order."""
    frame = spark.createDataFrame(pa.Table.from_pylist(rows, PLANTED)).coalesce(1)
    told = frame.select("place", *(of().alias(name) for name, of in MEASURES.items()))
    found = told.orderBy("place").collect()
    return {name: [row[name] for row in found] for name in MEASURES}


@pytest.fixture(scope="module")
def found(spark_session: SparkSession) -> dict[str, list[float | None]]:
    rows = [planted(n, each["members"], each["votes"]) for n, each in enumerate(CASES)]
    return measured(spark_session, rows)


def column(name: str) -> list[float]:
    return [each[name] for each in CASES]


def test_each_measure_is_that_of_modal(found: dict[str, list[float | None]]) -> None:
    first = [each["entropies"][0] for each in CASES]
    assert found["least_confidence"] == pytest.approx(column("uncertainty"), abs=EXACT)
    assert found["entropy"] == pytest.approx(first, abs=EXACT)
    # modAL's margin is small where a model is unsure, ours is large.
    assert found["margin"] == pytest.approx([1 - m for m in column("margin")], abs=EXACT)
    # Neither divides by the logarithm of the number of members.
    assert found["vote_entropy"] == pytest.approx(column("vote_entropy"), abs=EXACT)


def test_bald_is_the_entropy_of_modals_consensus_less_its_members(
    found: dict[str, list[float | None]],
) -> None:
    """ModAL has the largest divergence from the consensus, BALD is the mean of them."""
    wanted = [each["consensus_entropy"] - np.mean(each["entropies"]) for each in CASES]
    assert found["bald"] == pytest.approx(wanted, abs=EXACT)
    assert np.max(wanted) == pytest.approx(np.log(2), abs=0.2)
    for ours, theirs in zip(found["bald"], column("kl_max"), strict=True):
        assert ours is not None
        assert 0 <= ours <= theirs + EXACT


def test_who_is_alone_agrees_and_nobody_says_nothing(spark_session: SparkSession) -> None:
    one, two = {"a": 0.7, "b": 0.3}, {"b": 1.0}
    rows = [
        planted(0, [one], ["a"]),
        planted(1, [], []),
        {"place": 2, "class_probs": []},
        planted(3, [one, {}], ["a", None]),
        planted(4, [one, two], ["a", "b"]),
        planted(5, [one, one, one], ["a", "a", "a"]),
        planted(6, [two, one], ["b", "a"]),
    ]
    found = measured(spark_session, rows)
    half = float(np.log(2))
    assert found["vote_entropy"] == pytest.approx([0, None, None, 0, half, 0, half], abs=EXACT)
    mean = np.array([0.35, 0.65])
    apart = float(-(mean * np.log(mean)).sum() + (0.7 * np.log(0.7) + 0.3 * np.log(0.3)) / 2)
    assert found["bald"] == pytest.approx([0, None, None, 0, apart, 0, apart], abs=EXACT)
    assert found["bald"][4] == found["bald"][6], "whoever is heard first"
