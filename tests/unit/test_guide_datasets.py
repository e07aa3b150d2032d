"""The guide to datasets: each piece of a loop file that it shows is one, and means what it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.config import load
from processor.errors import ConfigError
from processor.loops import DatasetConfig
from processor.stages.recipes import recipes

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "datasets.md"
SHOWN = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
LOOP: dict[str, Any] = {
    "loop": "employment",
    "model": "employment-classifier",
    "outcome": {"metric": "employed", "from": "ground_truth", "window": "14d"},
}
RECIPE, FULL, LATE, BY_TIME, LEAKAGE = range(5)
"""What the page shows, in its order."""


def loaded(folder: Path, piece: str, **outcome: object) -> list[DatasetConfig]:
    """The datasets of a loop with a piece of the page: `datasets`, or what a dataset has."""
    told = yaml.safe_load(piece)
    datasets = told if "datasets" in told else {"datasets": [{"name": "d", **told}]}
    loop = {**LOOP, "outcome": {**LOOP["outcome"], **outcome}, **datasets}
    (folder / "shown.yaml").write_text(yaml.safe_dump(loop), encoding="utf-8")
    found = recipes(load(None, [f"loops={folder}"], {}))
    return [each.recipe.config for each in found]


def test_these_are_all_that_it_shows() -> None:
    keys = [[*yaml.safe_load(piece)] for piece in SHOWN]
    assert keys == [["datasets"]] * 3 + [["split"], ["leakage"]]


def test_the_recipe_is_what_the_page_goes_by(tmp_path: Path) -> None:
    (dataset,) = loaded(tmp_path, SHOWN[RECIPE])
    assert (dataset.name, dataset.mode, dataset.late) == (
        "employment-train",
        "incremental",
        "leave",
    )
    assert dataset.formats == ("parquet", "tfrecord", "jsonl", "delta")
    split = dataset.split
    assert (split.by, split.validation, split.test) == ("subject", 0.1, 0.1)
    assert dataset.leakage.limits == {"subject": 0}


def test_one_dataset_is_of_increments_and_the_other_of_everything(tmp_path: Path) -> None:
    found = loaded(tmp_path, SHOWN[FULL])
    assert [(each.name, each.mode) for each in found] == [
        ("employment-train", "incremental"),
        ("employment-all", "full"),
    ]


@pytest.mark.parametrize("level", ["inference", "request"])
def test_what_came_late_may_be_used(level: str, tmp_path: Path) -> None:
    (dataset,) = loaded(tmp_path, SHOWN[LATE], level=level)
    assert (dataset.name, dataset.mode, dataset.late) == ("employment-late", "incremental", "use")


@pytest.mark.parametrize(
    "outcome",
    [
        {"consensus": {"rule": "majority"}},
        {"from": "feedback", "level": "session", "credit": {"rule": "uniform"}},
        {"from": "feedback", "level": "episode", "credit": {"rule": "uniform"}},
    ],
)
def test_what_came_late_is_refused_where_the_page_says_so(
    outcome: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="leave `late` out"):
        loaded(tmp_path, SHOWN[LATE], **outcome)


def test_a_split_by_time_has_the_cuts_and_the_embargo_that_are_shown(tmp_path: Path) -> None:
    (dataset,) = loaded(tmp_path, SHOWN[BY_TIME])
    split = dataset.split
    assert (split.by, split.embargo) == ("time", timedelta(days=14))
    assert split.validation_from == datetime(2017, 1, 1, tzinfo=UTC)
    assert split.test_from == datetime(2017, 6, 1, tzinfo=UTC)


def test_an_embargo_is_held_against_the_window_and_not_against_the_grace(tmp_path: Path) -> None:
    assert loaded(tmp_path, SHOWN[BY_TIME], grace="30d")
    with pytest.raises(ConfigError, match=r"shorter than outcome\.window"):
        loaded(tmp_path, SHOWN[BY_TIME], window="15d")


def test_leakage_is_looked_for_and_limited_as_shown(tmp_path: Path) -> None:
    (dataset,) = loaded(tmp_path, SHOWN[LEAKAGE])
    leakage = dataset.leakage
    assert (leakage.text, leakage.similarity) == (("str.question",), 0.8)
    assert leakage.limits == {"subject": 0, "near": 0.01}
