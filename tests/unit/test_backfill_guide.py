"""What operations.md says of reading a backfill: its comparison, and what refuses its folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from click.testing import CliRunner

from processor.cli import bfp
from processor.tables import MEASUREMENTS
from processor.warehouse import Warehouse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.split("### Another configuration for the past\n")[1].split("\n## ")[0]
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
OUTCOME = {"metric": "employed", "from": "ground_truth", "window": "14d"}
(ANEW,) = set(re.findall(r"--set warehouse=(\S+)", SECTION))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse and a backfill of its two batches, which measured less in the second."""
    for place, second in (("build/warehouse", 0.8), (ANEW, 0.7)):
        made = Warehouse(str(tmp_path / place))
        for batch, value in ((1, 0.9), (2, second)):
            rows = [_measured(batch, "all", value), _measured(batch, "sex=F", 0.1)]
            told = pa.Table.from_pylist(rows, schema=MEASUREMENTS.arrow)
            made.append_once(MEASUREMENTS, told, "measure/measurements", batch)
    monkeypatch.chdir(tmp_path)
    Path("bfp.yaml").write_text("loops: loops\n", encoding="utf-8")
    loop = {"loop": "jobs", "model": "m", "outcome": OUTCOME}
    Path("loops").mkdir()
    Path("loops", "jobs.yaml").write_text(yaml.safe_dump(loop), encoding="utf-8")
    return tmp_path


def _measured(batch: int, part: str, value: float) -> dict[str, Any]:
    head = {"batch_id": batch, "loop": "jobs", "model_name": "m", "model_version": "1"}
    told = {"metric": "accuracy", "slice": part, "window": "batch", "n": 100, "value": value}
    return {**head, **told, "ci_low": value - 0.01, "ci_high": value + 0.01}


@pytest.mark.usefixtures("folder")
def test_both_are_compared_as_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(EXAMPLE, "operations.md", "exec"), {})  # noqa: S102  # our own page
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(row[0], row[4], row[8]) for row in rows if "batch" in row and row[0].isdigit()] == [
        ("1", "0.9", "0.9"),
        ("2", "0.8", "0.7"),
    ]


@pytest.mark.usefixtures("folder")
def test_what_asks_about_versions_works_there_and_what_asks_about_batches_refuses() -> None:
    def asked(*words: str) -> tuple[int, str]:
        there = ("--config", "bfp.yaml", "--set", f"warehouse={ANEW}")
        ended = CliRunner().invoke(bfp, [*words, *there])
        return ended.exit_code, f"{ended.output}{ended.exception or ''}"

    assert asked("dataset", "list") == (0, "no version yet\n")
    for command in ("plan", "run", "status", "report", "verify", "backfill"):
        code, said = asked(command)
        assert code
        assert "is the folder of a backfill" in said
