"""Which answer is said to count, where a dataset uses what came late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from processor.config import load
from processor.datasets.manifest import text
from processor.stages import recipes
from processor.stages.explain_row import explain_row
from processor.table import Table
from processor.tables import BATCHES, DATASETS, OUTCOMES, PROOFS, TYPED
from processor.warehouse import Warehouse

Row = dict[str, Any]

T0 = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MARKS = {1: 10, 2: 120, 3: 130, 4: 140}  # minutes
ON_TIME, LATER, REPEATED = "on-time", "later", "on-time-repeated"


def typed(table: str, batch: int, offset: int, minute: int, **told: Any) -> Row:  # noqa: ANN401  # any field
    origin = {"batch_id": batch, "topic": table, "partition": 0, "offset": offset}
    origin |= {"timestamp": T0, "schema": "confluent:7"}
    lead = {"batch_id": batch, "attempt": 1, "defects": [], "origin": origin}
    return {**lead, "event_time": T0 + minute * MINUTE, "inference_id": "i", **told}


def answer(name: str, batch: int, offset: int, minute: int, *, said: bool) -> Row:
    told = {"event_id": name, "op": "CREATE", "metric": "good", "value_bool": said}
    return typed("ground_truth", batch, offset, minute, **told)


def known(batch: int, timing: str, minute: int, offset: int) -> Row:
    places = (("inferences", 1, 0), ("ground_truth", batch, offset))
    origins = [{"topic": t, "batch_id": n, "partition": 0, "offset": at} for t, n, at in places]
    said = {"loop": "l", "metric": "good", "inference_id": "i", "timing": timing}
    return {**said, "batch_id": batch, "answered_at": T0 + minute * MINUTE, "origins": origins}


SERVED = {"role": "PRIMARY", "status": "OK", "model_name": "m", "model_version": "1"}
INFERENCE = typed("inferences", 1, 0, 0, event_id="e", **SERVED)
ANSWERS = {
    1: [answer(ON_TIME, 1, 0, 20, said=False)],
    3: [answer(LATER, 3, 1, 30, said=True), answer(REPEATED, 3, 2, 25, said=False)],
}
LEDGER = {1: [known(1, "ON_TIME", 20, 0)], 3: [known(3, "LATE", 30, 1)]}


def put(warehouse: Warehouse, table: Table, rows: list[Row], batch: int) -> None:
    blank = dict.fromkeys(table.schema.names)
    warehouse.append_once(table, [{**blank, **row} for row in rows], "test", batch)


def no_jvm() -> NoReturn:
    pytest.fail("a JVM was started")


@pytest.mark.parametrize(("late", "counts"), [("use", LATER), ("leave", ON_TIME)])
def test_what_counts_is_what_the_dataset_takes(tmp_path: Path, late: str, counts: str) -> None:
    loop = {
        "loop": "l",
        "model": "m",
        "outcome": {"metric": "good", "from": "ground_truth", "window": "1h"},
        "datasets": [{"name": "d", "late": late}],
    }
    (tmp_path / "l.yaml").write_text(yaml.safe_dump(loop))
    config = load(None, [f"warehouse={tmp_path}", f"loops={tmp_path}"], {})
    made = Warehouse(config.warehouse)
    for batch, minute in MARKS.items():
        put(made, TYPED["inferences"], [INFERENCE] if batch == 1 else [], batch)
        put(made, TYPED["ground_truth"], ANSWERS.get(batch, []), batch)
        put(made, OUTCOMES, LEDGER.get(batch, []), batch)
        mark = {"batch_id": batch, "topic": "inferences", "watermark": T0 + minute * MINUTE}
        put(made, PROOFS, [mark], batch)
        plan = {"batch_id": batch, "topic": "inferences", "partition": 0}
        put(made, BATCHES, [{**plan, "start_offset": 0, "end_offset": 1}], batch)
        name = {"batch_id": batch, "dataset": "d", "version": f"v{batch:06d}", "loop": "l"}
        put(made, DATASETS, [name], batch)
    (source,) = recipes.recipes(config)
    manifest = Path(made.uri("dataset_files", "d", "v000004", "manifest.json"))
    manifest.parent.mkdir(parents=True)
    manifest.write_text(text({"recipe": recipes.kept(source)}))
    told = explain_row(config, no_jvm, lambda _: None, "d/v000004", "i")
    assert [each["timing"] for each in told["answers"]] == ["ON_TIME", "LATE", "LATE"]
    assert [each["event_id"] for each in told["answers"] if each["counts"]] == [counts]
    assert [each["reward"] for each in told["answers"]] == [0.0, 1.0, 0.0]
