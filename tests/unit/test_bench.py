"""The page of the benchmarks says what was measured, and `docs` keeps what was measured well."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import parts
from benchmarks.capture.page import text
from benchmarks.capture.results import Case, Fixed, Results
from benchmarks.parts import Part, Size
from benchmarks.poison import Result
from benchmarks.spread import Spread

COST = {"seconds": 10.0, "cpu": 5.0}


def case(name: str, way: str) -> Case:
    turn = {
        "steps": dict.fromkeys(("snapshot", "validate", "together"), COST),
        "rows": 2_000,
        "files": {"log": [100 << 20]},
        "peak_rss": 1 << 30,
    }
    return Case(name, way, "topic", 2_000, [turn] * 3)


def measured(poisoned_seconds: float) -> dict[str, Any]:
    """As it is kept: through JSON."""
    fixed = Fixed(
        session=Spread(4.0, 4.0, 4.0),
        session_without_archive=Spread(7.0, 7.0, 7.0),
        small_run=Spread(40.0, 40.0, 40.0),
        small_run_without_archive=Spread(47.0, 47.0, 47.0),
        stages={"snapshot": 16.0, "validate": 7.0},
        rest=Spread(17.0, 16.5, 17.5),
        nothing_new=Spread(1.9, 1.8, 2.1),
        nothing_came=Spread(2.6, 2.5, 2.7),
    )
    results = Results(
        naive=case("usual", "naive"),
        even=case("even", "pipeline"),
        skewed=case("skewed", "pipeline"),
        large=case("large", "pipeline"),
        fixed=fixed,
        clean=Result("clean", 2_000, (9.0, 10.0, 30.0)),
        poisoned=Result("poisoned", 2_000, (poisoned_seconds,) * 3),
    )
    told: dict[str, Any] = json.loads(json.dumps(asdict(results)))
    return told


@pytest.mark.parametrize(
    ("seconds", "said"), [(10.9, "1.09 | reached |"), (11.5, "1.15 | **missed** |")]
)
def test_poison_is_judged_by_the_medians(seconds: float, said: str) -> None:
    page = "\n".join(text(measured(seconds)))
    row = f"| time with 1 % of the records damaged, to that of none | at most 1.1 | {said}"
    assert row in page.splitlines()
    assert "| clean | 2,000 | 10.0 (9.0 to 30.0) | 200 |" in page


def test_an_empty_batch_and_what_is_in_no_stage_are_told_of() -> None:
    lines = "\n".join(text(measured(10.0))).splitlines()
    assert "| an empty batch, seconds | at most 2 | 2.60 | **missed** |" in lines
    assert "| a run with nothing new, seconds | at most 2 | 1.90 | reached |" in lines
    assert "| of it, outside of the stages | 17.0 (16.5 to 17.5) |  |" in lines


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without any measurement, but a page."""
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    monkeypatch.setattr(parts, "HOME", tmp_path / "build")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "benchmarks.md").write_text("measured well\n")
    return tmp_path


@pytest.mark.parametrize(
    ("size", "where"),
    [
        (Size(None, 3), "docs/benchmarks.md"),
        (Size(None, 1), "build/benchmarks.md"),
        (Size(20_000, 3), "build/benchmarks.md"),
    ],
)
def test_docs_hold_medians_of_the_usual_size_alone(home: Path, size: Size, where: str) -> None:
    part = Part("some", "Some", 5, lambda _events, _rounds: {}, lambda told: iter([told["said"]]))
    parts.keep(part, size, {"said": "this was measured"})
    page = parts.page([part], size)
    assert parts.written_to(size, page) == where
    assert "this was measured" in (home / where).read_text()
    kept = (home / "docs" / "benchmarks.md").read_text() == "measured well\n"
    assert kept == (where != "docs/benchmarks.md")


def test_one_turn_is_not_taken_for_what_three_have_measured(home: Path) -> None:
    part = Part("some", "Some", 5, lambda _events, _rounds: {}, lambda told: iter([told["said"]]))
    parts.keep(part, Size(None, 3), {"said": "three"})
    parts.keep(part, Size(None, 1), {"said": "one"})
    assert "three" in parts.page([part], Size(None, 3))


def test_the_machine_is_named_with_its_processor(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = home / "cpuinfo"
    told.write_text("processor\t: 0\nmodel name\t: A Processor of 2 GHz\nmodel name\t: another\n")
    monkeypatch.setattr(parts, "CPUS", told)
    part = Part("some", "Some", 5, lambda _events, _rounds: {}, lambda _told: iter(["text"]))
    parts.keep(part, Size(None, 3), {})
    assert "cores (A Processor of 2 GHz)" in parts.page([part], Size(None, 3))
