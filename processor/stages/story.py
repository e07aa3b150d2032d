"""What happened, batch by batch, in a few numbers: read from the tables, without a JVM."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from processor.config import Config
from processor.measurements import OVERALL
from processor.stages.typed import FIRST_ATTEMPT
from processor.table import Table
from processor.tables import DECISIONS, MEASUREMENTS, PROOFS, TYPED
from processor.warehouse import Warehouse

Rows = list[dict[str, Any]]


def story(config: Config, warehouse: Warehouse) -> dict[str, Any]:
    """Batches with their counts and decisions; triggers fired, trainings and verdicts since."""
    proofs = warehouse.rows(PROOFS, columns=["batch_id", "landed"]).to_pylist()
    measured = warehouse.rows(MEASUREMENTS, where=[("slice", "=", OVERALL)]).to_pylist()
    decisions = sorted(
        warehouse.rows(DECISIONS).to_pylist(), key=lambda row: (row["batch_id"], row["rule"])
    )
    broken = [batch for table in TYPED.values() for batch in _defective(warehouse, table)]
    numbers = sorted({row["batch_id"] for row in proofs})
    return {
        "warehouse": warehouse.root,
        "report": str(config.report / "index.html"),
        "batches": [_batch(n, proofs, broken, measured, decisions) for n in numbers],
        "triggers": [
            {name: row[name] for name in ("batch_id", "rule", "trigger_id", "reason")}
            for row in decisions
            if row["state"] == "FIRED"
        ],
        "trainings": _trainings(warehouse),
        "verdicts": [
            {name: row[name] for name in ("batch_id", "model_version", "verdict", "reason")}
            for row in measured
            if row["metric"] == "verdict"
        ],
    }


def _defective(warehouse: Warehouse, table: Table) -> list[int]:
    """The batch of every record that had defects when it was landed."""
    landed = ("attempt", "=", FIRST_ATTEMPT)
    rows = warehouse.rows(table, columns=["batch_id", "defects"], where=[landed])
    broken: pa.Table = rows.filter(pc.greater(pc.list_value_length(rows["defects"]), 0))
    found: list[int] = broken["batch_id"].to_pylist()
    return found


def _batch(
    number: int, proofs: Rows, broken: list[int], measured: Rows, decisions: Rows
) -> dict[str, Any]:
    mine = {row["metric"]: row for row in measured if row["batch_id"] == number}
    standing = {
        name: mine[f"outcomes.{name}"]["n"] if f"outcomes.{name}" in mine else 0
        for name in ("known", "censored", "unknown", "late")
    }
    return {
        "batch": number,
        "landed": sum(row["landed"] for row in proofs if row["batch_id"] == number),
        "defects": broken.count(number),
        **standing,
        "accuracy": mine["accuracy"]["value"] if "accuracy" in mine else None,
        "decisions": [
            {name: row[name] for name in ("rule", "state", "reason", "trigger_id")}
            for row in decisions
            if row["batch_id"] == number
        ],
    }


def _trainings(warehouse: Warehouse) -> Rows:
    names = ("batch_id", "action", "model_version", "trigger_id", "dataset", "dataset_version")
    rows = warehouse.rows(
        TYPED["lifecycle"],
        columns=[*names, "event_time", "defects"],
        where=[("action", "=", "TRAINING_STARTED")],
    ).to_pylist()
    started = ({n: row[n] for n in (*names, "event_time")} for row in rows if not row["defects"])
    return sorted(started, key=lambda row: row["event_time"])
