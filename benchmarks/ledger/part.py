"""The ledger of outcomes and datasets: batch after batch, all at once, and unevenly."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace

from benchmarks.alone import HOME, alone, say
from benchmarks.ledger.page import text
from benchmarks.ledger.planted import is_planted, place
from benchmarks.ledger.results import Case, Results
from benchmarks.ledger.settings import KEPT, Job
from benchmarks.ledger.world import DAYS, World
from benchmarks.parts import Measured, Part
from processor.tables import BATCHES, DATASET_ROWS, DATASETS, MEASUREMENTS
from processor.warehouse import Warehouse

EVENTS = 5_000_000  # inferences; as many answers
SMALLER = 5  # times fewer, where even is held against uneven
MODELS = 4
SESSION_DAYS = 5  # within a window, so that a session's answer reaches all of it
HOT_ANSWERS = 4


def measure(events: int, rounds: int) -> Measured:
    """Plants the worlds and takes the turns, one way after the other."""
    daily, full = _daily(World(events, DAYS))
    once, fewer = World(events), events // SMALLER
    sessions = World(fewer, days=SESSION_DAYS, sessions=True)
    models = World(fewer, models=MODELS)
    cases = {
        "ours": ("this software", "compile", once),
        "usual": ("the usual way", "naive", once),
        "duckdb": ("DuckDB", "duckdb", once),
        "sessions": ("even sessions", "compile", sessions),
        "hot_session": ("half in one session", "compile", replace(sessions, hot=True)),
        "hot_session_again": (
            f"half in one session of {HOT_ANSWERS} answers",
            "compile",
            replace(sessions, hot=True, hot_answers=HOT_ANSWERS),
        ),
        "models": (f"{MODELS} even models", "compile", models),
        "hot_model": (f"half of one of {MODELS} models", "compile", replace(models, hot=True)),
    }
    found = {key: Case(name, _landed(world)) for key, (name, _, world) in cases.items()}
    for number in range(1, rounds + 1):
        for key, (_, way, world) in cases.items():
            _turn(found[key], way, world, number)
    return asdict(Results(daily=daily, full=full, **found))


def _daily(world: World) -> tuple[Case, Case]:
    """One turn: every batch in a row; then, from that ledger, a version of everything known."""
    landed, rows = _landed(world), int(world.events * KEPT)
    daily, full = Case("a batch a day", landed), Case("a full version", landed)
    told, source = vars(world), str(place(world))
    folders = [HOME / name for name in ("daily", "full")]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    job = Job("compile", told, source, str(folders[0]), (1, world.batches))
    job.rows = rows // world.batches
    daily.turns.append(alone("ledger", job, keep=True))
    _tell(daily, 1)
    fresh = tuple(table.name for table in (DATASETS, DATASET_ROWS, MEASUREMENTS))
    last = (world.batches, world.batches)
    job = Job("compile", told, job.config().warehouse, str(folders[1]), last, fresh, "full", rows)
    full.turns.append(alone("ledger", job))
    _tell(full, 1)
    shutil.rmtree(folders[0])
    return daily, full


def _turn(case: Case, way: str, world: World, number: int) -> None:
    folder = HOME / way
    shutil.rmtree(folder, ignore_errors=True)
    rows = int(world.events * KEPT) // world.models
    job = Job(way, vars(world), str(place(world)), str(folder), rows=rows)
    case.turns.append(alone("ledger", job))
    _tell(case, number)


def _landed(world: World) -> int:
    """How many events the world has; it is planted if it is not there."""
    if not is_planted(world):
        say(f"planting {world.name}")
        alone("ledger", Job("plant", vars(world), "", str(HOME / "plant")))
    rows = Warehouse(str(place(world))).rows(BATCHES, columns=["end_offset"])
    return sum(rows["end_offset"].to_pylist())


def _tell(case: Case, number: int) -> None:
    steps = ", ".join(f"{step['seconds']:.1f}" for step in case.turns[-1]["steps"].values())
    say(f"turn {number}, {case.name}: {steps} s, {case.rows:,} rows")


PART = Part("ledger", "Ledger and datasets", EVENTS, measure, text)
