"""Datasets: who is in, on which side, with what weight; and files that say the same again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from processor.datasets import formats, sampling, supervised
from processor.datasets.chain import chain, counted
from processor.datasets.draws import draw_one
from processor.datasets.formats.base import Format
from processor.datasets.manifest import MANIFEST
from processor.datasets.sampling.base import Policy
from processor.datasets.split import SPLITS, group
from processor.datasets.store import Store
from processor.loops import DatasetConfig, SplitConfig
from processor.plugins import Registry
from processor.tables import ORIGIN

Row = dict[str, Any]

ROWS = 4000
SUBJECTS = 700
START = datetime(2016, 1, 1, tzinfo=UTC)
SHARES = SplitConfig(by="subject", validation=0.2, test=0.1)
POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")
FORMATS: Registry[Format] = Registry(formats, "dataset format")


def recipe(seed: int = 1, **sampling: Any) -> supervised.Recipe:  # noqa: ANN401  # any key
    """Every row is kept, if not told otherwise; tests/spark/test_sampling.py has the policies."""
    config = DatasetConfig(name="d", split=SHARES, seed=seed)
    return supervised.Recipe(config, chain(sampling or {"policy": "all"}, POLICIES, "here"))


def place(number: int) -> Row:
    return {"landed": 1 + number % 2, "topic": "t", "partition": number % 3, "offset": number}


def inference(number: int) -> Row:
    """Every 50th has no subject, every 20th may not be trained on; one in two was logged.

    Every fifth does not say how likely it was to be served.
    """
    return {
        "inference_id": f"i{number}",
        "request_id": None,
        "subject_key": None if number % 50 == 0 else f"s{number % SUBJECTS}",
        "training_allowed": number % 20 != 1,
        "log_keep_prob": 0.5 if number % 2 else 1.0,
        "propensity": None if number % 5 == 0 else 1 / (1 + number % 6),
        "model_name": "m",
        "model_version": "1",
        "response_time": START + timedelta(seconds=number),
        "features_num": [("x", float(number))] if number % 7 else [],
        "features_str": [("c", "Grüße" if number % 3 else "")],
        **place(number),
    }


def credit(number: int) -> float:
    """Every ninth shares its answer with three others."""
    return 0.25 if number % 9 == 0 else 1.0


def outcome(number: int) -> Row:
    """Every 30th was taken back, every 40th is known without a value."""
    state = "RETRACTED" if number % 30 == 7 else "POSITIVE"
    value = None if number % 40 == 9 else str(number % 2)
    own = place(number)
    asked = {"batch_id": own.pop("landed"), **own}
    origins = [asked, {"batch_id": 1, "topic": "answers", "partition": 0, "offset": number}]
    return {
        "inference_id": f"i{number}",
        "state": state,
        "value": value,
        "credit": credit(number),
        "reward": None,
        "solicit_prob": None,
        "origins": origins,
    }


PLACE = {"landed": pa.int64(), "topic": pa.string(), "partition": pa.int32(), "offset": pa.int64()}
INFERENCES = pa.schema(
    {
        "inference_id": pa.string(),
        "request_id": pa.string(),
        "subject_key": pa.string(),
        "training_allowed": pa.bool_(),
        "log_keep_prob": pa.float64(),
        "propensity": pa.float64(),
        "model_name": pa.string(),
        "model_version": pa.string(),
        "response_time": pa.timestamp("us", "UTC"),
        "features_num": pa.map_(pa.string(), pa.float64()),
        "features_str": pa.map_(pa.string(), pa.string()),
        **PLACE,
    }
)
OUTCOMES = pa.schema(
    {
        "inference_id": pa.string(),
        "state": pa.string(),
        "value": pa.string(),
        "credit": pa.float64(),
        "reward": pa.float64(),
        "solicit_prob": pa.float64(),
        "origins": pa.list_(pa.struct([("batch_id", pa.int64()), *list(PLACE.items())[1:]])),
    }
)


@pytest.fixture(scope="module")
def events(spark_session: SparkSession) -> tuple[DataFrame, DataFrame]:
    """Outcomes and inferences."""
    assert ORIGIN.names == OUTCOMES.field("origins").type.value_type.names
    said = spark_session.createDataFrame(
        pa.Table.from_pylist([inference(n) for n in range(ROWS)], INFERENCES)
    )
    known = spark_session.createDataFrame(
        pa.Table.from_pylist([outcome(n) for n in range(ROWS)], OUTCOMES)
    )
    return known, said


def chosen(known: DataFrame, keys: DataFrame, made: supervised.Recipe) -> DataFrame:
    """Every outcome, decided."""
    found = supervised.candidates(known, keys, made, None)
    return supervised.decide(found, made.chain.allot(counted(found)))


def keys_of(said: DataFrame) -> DataFrame:
    return said.select(
        *("inference_id", "response_time", "training_allowed", "log_keep_prob"),
        group(SHARES).alias("split_group"),
    )


def decided(events: tuple[DataFrame, DataFrame], made: supervised.Recipe) -> dict[str, Row]:
    known, said = events
    found = chosen(known, keys_of(said), made).drop("origins").toArrow().to_pylist()
    return {row["inference_id"]: row for row in found}


def side(number: int, salt: str) -> str:
    """The split of a row, in plain Python."""
    subject = inference(number)["subject_key"] or f"i{number}"
    drawn = draw_one(subject, f"split|{salt}")
    if drawn < SHARES.test:
        return "test"
    return "validation" if drawn < SHARES.test + SHARES.validation else "train"


def reason(number: int) -> str:
    if outcome(number)["state"] == "RETRACTED":
        return "retracted"
    if outcome(number)["value"] is None:
        return "no_label"
    return "kept" if inference(number)["training_allowed"] else "training_not_allowed"


def test_who_is_in_and_why_not_is_as_in_plain_python(
    events: tuple[DataFrame, DataFrame],
) -> None:
    made = recipe()
    found = decided(events, made)
    assert len(found) == ROWS
    for number in range(ROWS):
        row = found[f"i{number}"]
        weight = credit(number) / inference(number)["log_keep_prob"]
        expected = (reason(number), side(number, made.salt), weight)
        assert (row["reason"], row["split"], row["weight"]) == expected, number
        assert row["label"] == outcome(number)["value"]
    sides: dict[str, set[str]] = {}
    for number in range(ROWS):
        subject = inference(number)["subject_key"] or f"i{number}"
        sides.setdefault(subject, set()).add(found[f"i{number}"]["split"])
    assert all(len(each) == 1 for each in sides.values())


def test_a_row_weighs_its_credit_by_its_chances(events: tuple[DataFrame, DataFrame]) -> None:
    able = [row for row in decided(events, recipe()).values() if row["reason"] == "kept"]
    for row in able:
        number = int(row["inference_id"][1:])
        chance = inference(number)["log_keep_prob"] * row["inclusion_prob"]
        assert row["weight"] == pytest.approx(credit(number) / chance, rel=1e-15)


def test_features_are_looked_for_where_a_row_may_have_been_chosen_and_none_is_missed(
    events: tuple[DataFrame, DataFrame],
) -> None:
    _, said = events
    made = recipe(policy="uniform", rate=0.25)
    kept = {i for i, row in decided(events, made).items() if row["reason"] == "kept"}
    near = {row["inference_id"] for row in supervised.drawn_below(said, made, 0.25).collect()}
    assert kept < near
    assert len(near) == pytest.approx(ROWS / 4, rel=0.1)
    assert supervised.drawn_below(said, made, 1.0).count() == ROWS


def test_the_same_seed_draws_the_same_sides_however_rows_lie(
    events: tuple[DataFrame, DataFrame],
) -> None:
    known, said = events
    first = decided(events, recipe())
    assert decided((known.orderBy("value").repartition(7), said.repartition(5)), recipe()) == first
    other = decided(events, recipe(seed=2))
    assert {i: row["split"] for i, row in other.items()} != {
        i: row["split"] for i, row in first.items()
    }


def written(rows: DataFrame, form: Format, folder: Path) -> dict[str, str]:
    """Files of a version that holds the rows, by name, with their digests."""
    store = Store(str(folder))
    store.begin()
    ordered = rows.repartition(2, "inference_id").sortWithinPartitions("split", "inference_id")
    form.write(ordered, f"{store.aside_uri}/_spark/{form.name}")
    found = list(store.collect(form, SPLITS))
    store.finish(json.dumps({"files": [file.path for file in found]}))
    for file in found:
        content = (folder / file.path).read_bytes()
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.bytes == len(content)
    assert sum(file.rows for file in found) == rows.count()
    return {file.path: file.sha256 for file in found}


@pytest.fixture(scope="module")
def rows(events: tuple[DataFrame, DataFrame]) -> DataFrame:
    """The rows of a version."""
    known, said = events
    kept = chosen(known, keys_of(said), recipe()).where("reason = 'kept'")
    numeric, categorical = supervised.feature_names(said)
    assert (numeric, categorical) == (["x"], ["c"])
    return supervised.rows(kept, said, numeric, categorical)


@pytest.mark.parametrize("name", [form.name for form in FORMATS])
def test_the_bytes_follow_from_the_rows_alone(rows: DataFrame, name: str, tmp_path: Path) -> None:
    first = written(rows, FORMATS[name], tmp_path / "with a space" / "v1")
    shuffled = rows.orderBy("weight", "response_time").repartition(5)
    assert written(shuffled, FORMATS[name], tmp_path / "v2") == first
    fewer = rows.where("inference_id != 'i2'")
    assert written(fewer, FORMATS[name], tmp_path / "v3") != first
    assert {Path(path).parts[1] for path in first} == set(SPLITS)
    assert not list(tmp_path.rglob("*.part"))
    assert not list(tmp_path.rglob("_spark"))


def test_parquet_read_back_is_what_was_decided(rows: DataFrame, tmp_path: Path) -> None:
    paths = written(rows, FORMATS["parquet"], tmp_path / "v1")
    by_id: dict[str, Row] = {}
    for path in paths:
        for row in pq.read_table(tmp_path / "v1" / path).to_pylist():
            assert side(int(row["inference_id"][1:]), recipe().salt) == Path(path).parts[1]
            assert row["inference_id"] not in by_id
            by_id[row["inference_id"]] = row
    assert by_id.keys() == {f"i{n}" for n in range(ROWS) if reason(n) == "kept"}
    for row in by_id.values():
        number = int(row["inference_id"][1:])
        sent = inference(number)
        features = dict(sent["features_num"]), dict(sent["features_str"])
        assert (row["num.x"], row["str.c"]) == (features[0].get("x"), features[1]["c"])
        assert row["response_time"] == sent["response_time"]
        assert row["subject_key"] == sent["subject_key"]
        assert row["propensity"] == sent["propensity"]


def test_a_version_appears_whole_and_what_was_left_half_made_is_made_again(
    rows: DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "v1"
    store = Store(str(folder))
    store.begin()
    FORMATS["parquet"].write(rows, f"{store.aside_uri}/_spark/parquet")
    assert not folder.exists()
    first = written(rows, FORMATS["parquet"], folder)
    assert (folder / MANIFEST).is_file()
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *first,
        MANIFEST,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]
