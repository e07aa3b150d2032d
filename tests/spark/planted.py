"""Typed rows that are planted in a warehouse, for stages that no broker has to feed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from processor.config import Config, load
from processor.loops import LoopConfig
from processor.table import Table

Row = dict[str, Any]
T0 = datetime(2024, 3, 1, tzinfo=UTC)


def configured(home: Path, loops: Mapping[str, LoopConfig]) -> Config:
    """A configuration with these loops, and no other."""
    (home / "loops").mkdir()
    (home / "loops" / "one.yaml").write_text(
        "{loop: one, model: bot, outcome: {metric: m, signal: click, window: 1h}}"
    )
    base = load(None, (f"loops={home / 'loops'}",), {})
    return base.model_copy(update={"loop": loops})


def served(name: str, **more: Any) -> Row:  # noqa: ANN401  # any field
    """An inference that somebody saw, and that may be trained on."""
    return {
        "inference_id": name,
        "model_name": "bot",
        "model_version": "1",
        "role": "PRIMARY",
        "status": "OK",
        "event_time": T0,
        "training_allowed": True,
        "log_keep_prob": 1.0,
        **more,
    }


def typed(table: Table, row: Row, batch: int, offset: int) -> Row:
    """A valid row of a typed table, with what `row` says."""
    origin = {"batch_id": batch, "topic": table.name, "partition": 0, "offset": offset}
    origin |= {"timestamp": T0, "schema": "s"}
    lead = {"batch_id": batch, "attempt": 1, "defects": [], "origin": origin}
    return {**dict.fromkeys(table.schema.names), **lead, **row}
