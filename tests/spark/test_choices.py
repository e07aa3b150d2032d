"""Versions from real tables: one that stands on too few rows is not made, and its rows wait."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.config import Config, load
from processor.datasets.content import add, digest
from processor.datasets.manifest import MANIFEST
from processor.errors import ConfigError
from processor.measurements import INSUFFICIENT, REFUSED
from processor.stages.base import Context, Writes
from processor.stages.catalog import refused, version
from processor.stages.rebuild import Rebuilt, rebuild
from processor.stages.recipes import recipes
from processor.stages.versions import build
from processor.tables import BATCHES, DATASET_ROWS, DATASETS, MEASUREMENTS, OUTCOMES, PROOFS, TYPED
from processor.version import code_version
from processor.warehouse import Warehouse
from processor.weighting import effective_size
from tests.spark.population import KNOWN, MARK, SAID, Row
from tests.spark.population_rows import of, outcome, put, typed

CUTS = {
    "by": "time",
    "validation_from": MARK - timedelta(days=30),
    "test_from": MARK - timedelta(days=10),
    "embargo": "2d",
}
LOOP = {
    "loop": "l",
    "model": "m",
    "outcome": {"metric": "x", "from": "ground_truth", "window": "1d"},
    "datasets": [
        {"name": "d", "sampling": {"policy": "uniform", "rate": 0.5, "min_effective": 90}},
        {"name": "e", "sampling": {"policy": "all"}},
        {"name": "f", "mode": "full"},
        {"name": "timely", "split": CUTS},
        {"name": "timely-full", "mode": "full", "split": CUTS},
        {"name": "leaky", "leakage": {"limits": {"exact": 0, "subject": 0}}},
    ],
}
PAIRS = list(zip(SAID, KNOWN, strict=True))
SIZES = (250, 300)
"""Inferences of each batch; half of them are kept for `d`: too few, then enough."""
RANGES = ((0, 250), (250, 550))
"""Their offsets."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("choices")
    loops = folder / "loops"
    loops.mkdir()
    (loops / "l.yaml").write_text(yaml.safe_dump(LOOP))
    return load(None, [f"loops={loops}", f"warehouse={folder / 'warehouse'}"], {})


@pytest.fixture(scope="module")
def warehouse(config: Config, spark_session: SparkSession) -> Warehouse:
    """The versions of two batches, the last of them built twice."""
    made = filled(config)
    for number in (1, 2, 2):
        at = MARK + timedelta(days=number)
        batch = Batch(number, (), at, "run", config.hash, code_version())
        context = Context(config, made, "run", lambda: spark_session, lambda _: None)
        build(context, batch, Writes("compile", context, batch), recipes(config))
    return made


def filled(config: Config) -> Warehouse:
    """Inferences of two batches and what became known of them, each in its own batch."""
    made = Warehouse(config.warehouse)
    for number, size in enumerate(SIZES, start=1):
        start = sum(SIZES[: number - 1])
        said, known = SAID[start : start + size], KNOWN[start : start + size]
        if number == 2:  # one that the first batch knew is taken back
            known = [*known, {**KNOWN[0], "state": "RETRACTED", "value": None}]
        put(made, TYPED["inferences"], [typed(row, number) for row in said], number)
        put(
            made,
            OUTCOMES,
            [outcome(row, number, 1 if row["value"] is None else number) for row in known],
            number,
        )
        put(made, PROOFS, [{"batch_id": number, "watermark": MARK}], number)
        put(made, BATCHES, [planned(config, number)], number)
    return made


def planned(config: Config, number: int) -> Row:
    at = {"batch_id": number, "planned_at": MARK + timedelta(days=number), "run_id": "run"}
    made_by = {"config_hash": config.hash, "code_version": code_version()}
    ends = dict(zip(("start_offset", "end_offset"), RANGES[number - 1], strict=True))
    return {**at, **made_by, "topic": "t", "topic_id": "first", "partition": 0, **ends}


def able(first: int, end: int) -> set[str]:
    """Inferences of batches that can be chosen."""
    return {
        said["inference_id"]
        for said, known in PAIRS[first:end]
        if said["training_allowed"] and known["state"] != "RETRACTED"
    }


def test_a_version_of_too_few_effective_rows_waits_and_nothing_is_lost(
    warehouse: Warehouse,
) -> None:
    made = of(warehouse, DATASETS, dataset="d")
    assert [(row["version"], row["parent_version"]) for row in made] == [("v000002", None)]
    rows = of(warehouse, DATASET_ROWS, dataset="d")
    assert {row["version"] for row in rows} == {"v000002"}
    kept = {row["inference_id"] for row in rows}
    assert kept <= able(0, 550) - {"i0"}
    assert len(kept & able(0, 250)) > 80, "what waited in batch 1 is in the version of batch 2"
    (version,) = made
    quality, dropped = dict(version["quality"]), dict(version["dropped"])
    expected = effective_size([row["weight"] for row in rows])
    assert quality["effective_rows.all"] == pytest.approx(expected, rel=1e-9)
    assert expected >= 90
    by_name = {said["inference_id"]: {**said, **known} for said, known in PAIRS}
    for row in rows:
        mine = by_name[row["inference_id"]]
        came = mine["log_keep_prob"] * (mine["solicit_prob"] or 1.0) * row["inclusion_prob"]
        assert row["weight"] == pytest.approx(mine["credit"] / came, rel=1e-12)
    labels = Counter(row["label"] for row in rows)
    assert {name: share for name, share in quality.items() if name.startswith("share.")} == {
        f"share.{label}": n / len(rows) for label, n in labels.items()
    }
    assert len(labels) > 1
    taken_back = sum(known["state"] == "RETRACTED" for known in KNOWN[:550]) + 1
    assert dropped["retracted"] == taken_back
    assert len(kept) + sum(dropped.values()) == 550
    manifest = json.loads(Path(version["manifest_uri"]).read_text(encoding="utf-8"))
    assert manifest["quality"] == quality
    assert quality["maturity"] == over_within(by_name[row["inference_id"]] for row in rows)
    assert manifest["sampling"] == LOOP["datasets"][0]["sampling"]  # type: ignore[index]  # a literal


def over_within(rows: Iterable[Row]) -> float:
    """Of all that landed from the first row to the last, the share whose window is over."""
    times = [row["response_time"] for row in rows]
    landed = [said["response_time"] for said in SAID[: sum(SIZES)]]
    within = [at for at in landed if min(times) <= at <= max(times)]
    share: float = sum(at + timedelta(days=1) <= MARK for at in within) / len(within)
    assert 0.5 < share < 1
    return share


def test_a_version_that_was_not_made_says_why(warehouse: Warehouse) -> None:
    told = of(warehouse, MEASUREMENTS, metric="dataset.d.effective_rows")
    verdicts = {row["batch_id"]: row["verdict"] for row in told}
    assert verdicts == {1: INSUFFICIENT, 2: None}
    first = next(row for row in told if row["batch_id"] == 1)
    assert 0 < first["value"] < 90
    assert f"of {first['n']}, fewer than min_effective 90" in first["reason"]


def test_where_no_floor_is_set_each_batch_has_its_version_and_together_they_are_all(
    warehouse: Warehouse,
) -> None:
    made = sorted(of(warehouse, DATASETS, dataset="e"), key=lambda row: row["batch_id"])
    chained = [(row["version"], row["parent_version"]) for row in made]
    assert chained == [("v000001", None), ("v000002", "v000001")]
    rows = of(warehouse, DATASET_ROWS, dataset="e")
    assert len(rows) == len({row["inference_id"] for row in rows})
    assert {row["inference_id"] for row in rows} == able(0, sum(SIZES))


def rows_of(warehouse: Warehouse, dataset: str, *versions: str) -> list[Row]:
    """The rows that the files of versions hold, by inference."""
    folder = Path(warehouse.uri("dataset_files", dataset))
    files = [path for each in versions for path in (folder / each).rglob("*.parquet")]
    rows = [row for path in files for row in pq.ParquetFile(path).read().to_pylist()]
    return sorted(rows, key=lambda row: str(row["inference_id"]))


def test_the_files_of_a_full_version_hold_the_rows_of_all_increments(warehouse: Warehouse) -> None:
    first, second = sorted(of(warehouse, DATASETS, dataset="f"), key=lambda row: row["batch_id"])
    assert (first["parent_version"], second["parent_version"]) == (None, "v000001")
    whole = rows_of(warehouse, "f", "v000002")
    increments = rows_of(warehouse, "e", "v000001", "v000002")
    assert [row for row in increments if row["inference_id"] != "i0"] == whole
    assert len(increments) == len(whole) + 1
    assert second["row_count"] == len(whole)
    last = of(warehouse, DATASETS, dataset="e", version="v000002")[0]
    assert second["new_rows"] == last["new_rows"] == last["row_count"] < second["row_count"]
    assert first["new_rows"] == first["row_count"]


def digests_of(warehouse: Warehouse, name: str) -> dict[str, str]:
    """What a version's manifest says of the rows of each split."""
    file = Path(warehouse.uri("dataset_files", *name.split("/"), MANIFEST))
    told: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))["rows_sha256"]
    return told


def test_digests_of_increments_add_up_to_that_of_the_full_version(warehouse: Warehouse) -> None:
    """But for the one that was taken back; datasets of two names divide rows differently."""
    increments = [digests_of(warehouse, f"e/v00000{n}").values() for n in (1, 2)]
    files = Path(warehouse.uri("dataset_files", "e", "v000001")).rglob("*.parquet")
    first = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    taken_back = digest(first.filter(pc.field("inference_id") == "i0"))
    whole = digests_of(warehouse, "f/v000002").values()
    assert add([*whole, taken_back]) == add([*increments[0], *increments[1]])
    assert add(whole) != add([*increments[0], *increments[1]])


def test_digests_add_up_split_by_split_where_cuts_are_points_in_time(warehouse: Warehouse) -> None:
    parts = [digests_of(warehouse, f"timely/v00000{n}") for n in (1, 2)]
    files = Path(warehouse.uri("dataset_files", "timely", "v000001"), "parquet").rglob("*.parquet")
    sides = {file.parent.name: pq.ParquetFile(file).read() for file in sorted(files)}
    taken_back = {
        side: digest(rows.filter(pc.field("inference_id") == "i0")) for side, rows in sides.items()
    }
    whole = digests_of(warehouse, "timely-full/v000002")
    assert set(whole) == set(taken_back) == {"train", "validation", "test"}
    for side, told in whole.items():
        assert add([told, taken_back[side]]) == add(part[side] for part in parts), side
    (row,) = of(warehouse, DATASETS, dataset="timely-full", version="v000002")
    assert dict(row["dropped"])["embargo"] > 0


@pytest.mark.parametrize(
    ("version", "first", "end"),
    [
        ("d/v000002", 0, 550),  # the version of batch 1 was refused, and its rows are in this one
        ("e/v000001", 0, 250),
        ("e/v000002", 250, 550),
        ("f/v000001", 0, 250),
        ("f/v000002", 0, 550),  # everything, again
    ],
)
def test_a_version_names_the_offsets_that_its_rows_became_known_by(
    warehouse: Warehouse, version: str, first: int, end: int
) -> None:
    file = Path(warehouse.uri("dataset_files", *version.split("/"), MANIFEST))
    told = {"topic": "t", "topic_id": "first", "partition": 0}
    assert json.loads(file.read_text(encoding="utf-8"))["sources"] == [
        {**told, "start_offset": first, "end_offset": end}
    ]


def test_a_version_that_leaks_is_refused_and_the_batch_goes_on(warehouse: Warehouse) -> None:
    assert not of(warehouse, DATASETS, dataset="leaky")
    assert not of(warehouse, DATASET_ROWS, dataset="leaky")
    files = Path(warehouse.uri("dataset_files"))
    assert {path.name for path in files.iterdir()} == {"d", "e", "f", "timely", "timely-full"}
    assert not list(files.rglob("*.part"))
    told = {row["batch_id"]: row for row in of(warehouse, MEASUREMENTS, verdict=REFUSED)}
    assert set(told) == {1, 2}
    assert {row["metric"] for row in told.values()} == {"dataset.leaky.leakage.exact"}
    for row in told.values():
        assert row["value"] > 0
        assert "held-out rows leak by exact" in row["reason"]
    within = of(warehouse, MEASUREMENTS, metric="dataset.leaky.leakage.subject")
    assert {(row["value"], row["verdict"]) for row in within} == {(0.0, None)}
    assert [(row["dataset"], row["batch_id"]) for row in refused(warehouse)] == [
        *(("d", 1), ("leaky", 1), ("leaky", 2))
    ]
    with pytest.raises(ConfigError, match=r"leaky/v000002 was not made: .* leak by exact"):
        version(warehouse, "leaky/v000002")


def test_a_version_is_built_again_byte_for_byte(
    warehouse: Warehouse, config: Config, spark_session: SparkSession
) -> None:
    def again(told: Config, *, as_built: bool = False) -> Rebuilt:
        return rebuild(told, lambda: spark_session, lambda _: None, "e/v000002", as_built=as_built)

    same = again(config)
    assert (same.differences, same.place, same.files) == ((), None, 4)
    assert not list(Path(warehouse.uri("rebuilds")).iterdir())
    places = [f"loops={config.loops}", f"warehouse={config.warehouse}"]
    changed = load(None, [*places, "batch.watermark_tolerance=7m"], {})
    with pytest.raises(ConfigError, match="was built with the configuration") as refusal:
        again(changed)
    assert "--as-built" in refusal.value.remedy
    file = Path(warehouse.uri("dataset_files", "e", "v000002", "parquet/test/part-00000.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    found = again(changed, as_built=True)
    file.write_bytes(content)
    (difference,) = found.differences
    assert difference.startswith("parquet/test/part-00000.parquet is ")
    assert difference.endswith(f"and would be {hashlib.sha256(content).hexdigest()}")
    assert (Path(str(found.place)) / MANIFEST).is_file()
