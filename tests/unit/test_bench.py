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
from benchmarks.ledger import page as ledger_page
from benchmarks.ledger import results as ledger
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


# --- the ledger -----------------------------------------------------------------------------------

DAYS, FULL_DAY = 30, 10.0
AIMED = {
    "daily": "| seconds of the last daily batch, to those of the tenth | at most 1.3 |",
    "usual": "| everything in one batch, rows a second to the usual way's | at least 1.3 |",
    "ours": "| peak memory with everything in one batch, GiB | at most 6 |",
    "hot_session": "| time with half of all inferences in one session, to that of even sessions"
    " | at most 1.5 |",
    "hot_model": "| time with half of all inferences of one model, to that of even models"
    " | at most 1.5 |",
}
"""The row of each target, by the case that decides it."""


def timed(name: str, *seconds: float, gib: float = 1.0) -> ledger.Case:
    """A turn for each of the seconds, in two steps that add up to them."""
    parts = [{"ledger": each - 1, "dataset": 1.0} for each in seconds]
    turns = [
        {
            "steps": {step: {"seconds": took, "cpu": took} for step, took in part.items()},
            "rows": 500,
            "peak_rss": int(gib * (1 << 30)),
        }
        for part in parts
    ]
    return ledger.Case(name, 2_000, turns)


def daily(last: float) -> ledger.Case:
    """Batches that are quick until the tenth, of which the last takes `last` seconds."""
    took = {str(day): 1.0 if day < 10 else FULL_DAY for day in range(1, DAYS + 1)}
    steps = {day: {"seconds": each, "cpu": each} for day, each in (took | {"30": last}).items()}
    return ledger.Case("daily", 2_000, [{"steps": steps, "rows": 500, "peak_rss": 1 << 30}])


def ledger_rows(**changed: ledger.Case) -> list[str]:
    """The lines of the page, of results that reach every target but for what is changed."""
    cases = {
        "daily": daily(13.0),
        "full": timed("full", 20.0),
        "ours": timed("ours", 10.0, 9.0, 40.0, gib=6.0),
        "usual": timed("usual", 13.0),
        "duckdb": timed("duckdb", 5.0),
        "sessions": timed("sessions", 10.0),
        "hot_session": timed("hot session", 15.0),
        "hot_session_again": timed("hot session again", 90.0),
        "models": timed("models", 10.0),
        "hot_model": timed("hot model", 15.0),
    }
    told = ledger.Results(**(cases | changed))
    return "\n".join(ledger_page.text(json.loads(json.dumps(asdict(told))))).splitlines()


def test_targets_of_the_ledger_are_reached_at_their_bounds_by_the_medians() -> None:
    lines = ledger_rows()
    said = {"daily": "1.30", "usual": "1.30", "ours": "6.00"}
    for case, row in AIMED.items():
        assert f"{row} {said.get(case, '1.50')} | reached |" in lines, case
    assert lines[-1] == "No target is missed."
    assert "| ours | 2,000 | 500 | 10.0 (9.0 to 40.0) | 200 | 10.0 (9.0 to 40.0) | 6.00 |" in lines


@pytest.mark.parametrize(
    ("case", "measured", "said"),
    [
        ("daily", daily(13.2), "1.32"),
        ("usual", timed("usual", 12.5), "1.25"),
        ("ours", timed("ours", 10.0, gib=6.25), "6.25"),
        ("hot_session", timed("hot session", 16.0), "1.60"),
        ("hot_model", timed("hot model", 17.0), "1.70"),
    ],
)
def test_a_target_of_the_ledger_that_is_missed_is_named(
    case: str, measured: ledger.Case, said: str
) -> None:
    lines = ledger_rows(**{case: measured})
    assert f"{AIMED[case]} {said} | **missed** |" in lines
    what = AIMED[case].removeprefix("| ").split(" | ")[0]
    assert lines[-1] == f"Missed: {what}."


def test_memory_that_was_not_counted_is_neither_reached_nor_missed() -> None:
    lines = ledger_rows(ours=timed("ours", 10.0, gib=0.0))
    assert f"{AIMED['ours']}  | not measured |" in lines
    assert lines[-1] == "No target is missed."


# --- the pages ------------------------------------------------------------------------------------


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
