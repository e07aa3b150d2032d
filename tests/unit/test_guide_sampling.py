"""The guide to sampling: its loop file is understood, and its example prints what it shows."""

from __future__ import annotations

import re
from math import sqrt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from processor.datasets.chain import chain
from processor.datasets.sampling.uncertainty import MEASURES
from processor.loops import LoopConfig
from processor.stages.recipes import POLICIES

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "sampling.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
ROWS = [(True, 1.0)] * 90 + [(False, 1.0)] * 30 + [(True, 5.0)] * 57 + [(False, 5.0)] * 3
"""What the page says of the version: how many were repaid, by what each stands for."""


def block(kind: str) -> str:
    found: str = next(text for of, text in BLOCKS if of == kind)
    return found


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test split of a version, in two files."""
    monkeypatch.chdir(tmp_path)
    folder = Path("loans-train", "v000001", "parquet", "test")
    folder.mkdir(parents=True)
    for number in (0, 1):
        half = ROWS[number::2]
        columns = {
            "inference_id": [f"i{number}-{n}" for n in range(len(half))],
            "label": ["true" if repaid else "false" for repaid, _ in half],
            "weight": [weight for _, weight in half],
        }
        pq.write_table(pa.table(columns), folder / f"part-{number}.parquet")


@pytest.mark.usefixtures("version")
def test_the_example_prints_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block("python"), str(PAGE), "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == block("")


def test_what_it_shows_is_the_weighted_mean_and_the_interval_of_that_ratio() -> None:
    total = sum(weight for _, weight in ROWS)
    mean = sum(weight for repaid, weight in ROWS if repaid) / total
    error = sqrt(sum((weight * (repaid - mean)) ** 2 for repaid, weight in ROWS)) / total
    effective = total**2 / sum(weight**2 for _, weight in ROWS)
    low, high = (mean + sign * 1.959964 * error for sign in (-1, 1))
    told = [f"{each:.3f}" for each in (mean, low, high)]
    assert re.findall(r"\d\.\d+", block("")) == told
    assert f"as {effective:.0f} rows of equal weight say, of {len(ROWS)}" in block("")


def test_the_loop_file_is_one() -> None:
    loop = LoopConfig.model_validate(yaml.safe_load(block("yaml")))
    names = [
        [link.policy.name for link in chain(each.sampling, POLICIES, "here").links]
        for each in loop.datasets
    ]
    assert names == [["stratified"], ["recency", "uncertainty"]]


def test_every_policy_with_its_keys_and_every_measure_is_listed() -> None:
    table = TEXT.split("| policy | keeps | keys |")[1].split("\n\n")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", table, re.MULTILINE))
    assert listed.keys() == {policy.name for policy in POLICIES}
    for policy in POLICIES:
        assert set(re.findall(r"`(\w+)`", listed[policy.name])) == set(policy.params.model_fields)
    assert all(f"`{measure}`" in TEXT for measure in MEASURES)
