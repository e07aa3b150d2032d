"""One measurement to make, as it is handed to the process that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.ledger.world import GRACE, LATE, METRIC, WINDOW, World, models
from processor.config import Config, load

KEPT = 0.2  # of the inferences: the rows that a dataset is to have
DATASET = "bench"


@dataclass
class Job:
    """Which way, on which warehouse, in the folder that is its own.

    `world`: the fields of a World; `source`: the warehouse it is planted in, or was compiled in.
    `batches`: the first and the last that are compiled; tables `without` start empty. `mode` and
    `rows` are the dataset's; none where there are no rows.
    """

    way: str
    world: dict[str, Any]
    source: str
    folder: str
    batches: tuple[int, int] = (1, 1)
    without: tuple[str, ...] = ()
    mode: str = "incremental"
    rows: int = 0
    settings: dict[str, str] = field(default_factory=dict)

    def config(self) -> Config:
        """The shipped defaults, with a loop for each model."""
        home, world = Path(self.folder).resolve(), World.told(self.world)
        loops = home / "loops"
        loops.mkdir(parents=True, exist_ok=True)
        for model in models(world):
            told = yaml.safe_dump(_loop(model, world, self.mode, self.rows))
            (loops / f"{model}.yaml").write_text(told, encoding="utf-8")
        spark = yaml.safe_dump({"spark": self.settings}) if self.settings else ""
        path = home / "bfp.yaml"
        path.write_text(
            f"warehouse: {home / 'warehouse'}\nreport: {home / 'report'}\nloops: {loops}\n{spark}",
            encoding="utf-8",
        )
        return load(path)


def sampled(rows: int) -> Mapping[str, Any]:
    """The policy of the dataset: as many rows of each label."""
    return {"policy": "stratified", "by": ["label"], "allocation": "equal", "rows": rows}


def _loop(model: str, world: World, mode: str, rows: int) -> dict[str, Any]:
    spans = {"window": WINDOW, "grace": GRACE, "late": LATE}
    outcome: dict[str, Any] = {"metric": METRIC, "signal": "label"} | {
        name: f"{span.total_seconds() / 3600:g}h" for name, span in spans.items()
    }
    if world.sessions:
        outcome |= {"level": "session", "credit": {"rule": "uniform"}}
    dataset = {"name": f"{DATASET}-{model}", "mode": mode, "sampling": sampled(rows)}
    return {
        "loop": model,
        "model": model,
        "task": "classification",
        "outcome": outcome,
        "datasets": [dataset] if rows else [],
    }
