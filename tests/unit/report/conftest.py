"""Planted rows of three batches: what the report has to say is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processor.loops import LoopConfig
from processor.measurements import Measurement
from processor.report.document import document

Rows = list[dict[str, Any]]
START = datetime(2017, 1, 1, tzinfo=UTC)
EXPECTED, ABORTED, CONTROL = 206_114, 40, 7
SCRIPT = "<script>alert('x')</script>"
SCHEMA_JSON = (
    '{"type":"struct","fields":['
    '{"name":"inference_id","type":"string","nullable":true,"metadata":{}},'
    '{"name":"num.AGEP","type":"double","nullable":true,"metadata":{}},'
    '{"name":"tags","type":{"type":"map","keyType":"string","valueType":"string",'
    '"valueContainsNull":true},"nullable":true,"metadata":{}}]}'
)
LOOP = LoopConfig.model_validate(
    {
        "loop": "employment",
        "model": "employment-classifier",
        "outcome": {"metric": "employed", "from": "ground_truth", "window": "14d"},
        "slices": ["sex"],
    }
)


def measured(batch: int, metric: str, **of: Any) -> dict[str, Any]:  # noqa: ANN401  # any column
    """One row of `measurements`."""
    told = {"model_version": "1", "slice": "all", "window": "batch", "n": 1000, **of}
    named = Measurement(loop=LOOP.loop, model_name=LOOP.model, metric=metric, **told)
    return {"batch_id": batch, **vars(named)}


def standings(batch: int) -> Rows:
    counted = {"known": 61_000, "censored": 30_000, "unknown": 8_400, "retracted": 500}
    counted["tied"] = 100
    amiss = {"late": 321, "outside": 123}
    return [
        measured(batch, f"outcomes.{name}", model_version="all", window="all", n=n, value=n / 1e5)
        for name, n in {**counted, **amiss}.items()
    ]


def quality(batch: int) -> Rows:
    found = []
    for metric, level in (
        ("accuracy", 0.81),
        ("precision", 0.77),
        ("recall", 0.7),
        ("log_loss", 0.4),
    ):
        for version, part, shift in (("1", "all", 0.0), ("1", "sex=1", 0.02), ("2", "all", -0.03)):
            value = level + shift - 0.011 * batch
            found.append(
                measured(
                    batch,
                    metric,
                    model_version=version,
                    slice=part,
                    value=value,
                    ci_low=value - 0.02,
                    ci_high=value + 0.02,
                    reference="1",
                    reference_value=0.8123,
                )
            )
        few = {"verdict": "INSUFFICIENT", "reason": "12 rows, fewer than 30", "n": 12}
        found.append(measured(batch, metric, slice="sex=2", **few))
    return found


def drift(batch: int) -> Rows:
    told = (
        ("SCHL", 0.312, 0.0002, "DRIFT"),
        ("AGEP", 0.051, 0.2, "STABLE"),
        ("WKHP", None, None, "INSUFFICIENT"),
    )
    return [
        measured(
            batch,
            "drift.chi_square",
            feature=name,
            value=effect,
            effect=effect,
            statistic=effect and 1000 * effect,
            p=q,
            q=q,
            reference="1",
            verdict=verdict,
            reason="the batch has 7 values, fewer than 200" if effect is None else None,
        )
        for name, effect, q, verdict in told
    ]


def violations(batch: int) -> Rows:
    """A feature that is out of its range now and then, and one that is always there."""
    told = {"model_version": "1", "ci_low": 0.0123, "ci_high": 0.0456}
    return [
        measured(batch, "features.out_of_range", feature="AGEP", value=0.0234, n=765, **told),
        measured(batch, "features.missing", feature="SCHL", value=0.0, **told),
    ]


def candidate(batch: int) -> Rows:
    against = {"model_version": "2", "reference": "1", "window": "all"}
    compared = {"value": 0.0312, "ci_low": 0.011, "ci_high": 0.051, "n": 4_321, "p": 0.003}
    slices = [
        measured(batch, "accuracy_difference", slice=part, **against, **compared)
        for part in ("all", "sex=1", "sex=2")
    ]
    said = {"verdict": "PROMOTE", "reason": "overall +0.0312: better, and no slice fails"}
    return [*slices, measured(batch, "verdict", **against, **compared, **said)]


def effective(batch: int) -> Rows:
    """Of two datasets: one is made, the other stands on too few rows."""
    few = {"value": 41.5, "verdict": "INSUFFICIENT", "reason": "41.5 effective rows of 80"}
    return [
        measured(batch, "dataset.employment-train.effective_rows", value=900.0),
        measured(batch, "dataset.employment-rare.effective_rows", **few),
    ]


def batch_row(batch: int, partition: int) -> dict[str, Any]:
    start = (batch - 1) * EXPECTED
    return {
        "batch_id": batch,
        "topic": "bfp.inferences",
        "topic_id": "topic-id-7",
        "partition": partition,
        "start_offset": start,
        "end_offset": start + (EXPECTED if partition == 0 else 0),
        "log_start_offset": 0,
        "high_watermark": 10**6,
        "first_seen": batch == 1,
        "left_over": 0,
        "replay": None,
        "cut_time": None,
        "planned_at": START + timedelta(days=batch),
        "run_id": f"run-{batch}",
        "config_hash": "c0ffee" * 8,
        "code_version": "0.1.0+abc",
    }


def proof_row(batch: int, partition: int) -> dict[str, Any]:
    told = {"expected": EXPECTED, "landed": EXPECTED - ABORTED - CONTROL, "control": CONTROL}
    zero = dict.fromkeys(told, 0)
    return {
        "batch_id": batch,
        "topic": "bfp.inferences",
        "partition": partition,
        **(told if partition == 0 else zero),
        "aborted": ABORTED if partition == 0 else 0,
        "compacted": 0,
        "lost": 0,
        "digest": f"{batch}{partition}99887766",
        "schema_refs": ["confluent:1"],
        "watermark": START + timedelta(days=batch, hours=-1),
    }


def dataset_row(batch: int) -> dict[str, Any]:
    return {
        "batch_id": batch,
        "loop": LOOP.loop,
        "dataset": "employment-train",
        "version": f"v{batch:06d}",
        "parent_version": f"v{batch - 1:06d}" if batch > 1 else None,
        "kind": "SUPERVISED",
        "formats": ["parquet"],
        "uri": f"s3://lake/dataset_files/employment-train/v{batch:06d}",
        "manifest_uri": f"s3://lake/dataset_files/employment-train/v{batch:06d}/manifest.json",
        "content_sha256": "ab12" * 16,
        "schema_json": SCHEMA_JSON,
        "row_count": 48_765,
        "new_rows": 48_765,
        "splits": [
            {"name": "train", "rows": 39_012, "sha256": "aa"},
            {"name": "test", "rows": 9_753, "sha256": "bb"},
        ],
        "dropped": [("not_allowed", 1_234), ("duplicate", 56)],
        "quality": [("share.true", 0.4567)],
        "seed": 0,
        "code_version": "0.1.0",
        "config_hash": "c0ffee",
        "run_id": f"run-{batch}",
        "created_at": START + timedelta(days=batch),
    }


def decision_row(batch: int, rule: str, *, fired: bool) -> dict[str, Any]:
    evidence = {
        "metric": "accuracy",
        "slice": None,
        "method": "wilson",
        "observed": 0.7654,
        "reference": 0.5432,
        "threshold": 0.6214,
        "ci_low": 0.7321,
        "ci_high": 0.8432,
        "effect": -0.0346,
        "p_value": 0.0004,
        "q_value": None,
        "n": 1_777,
        "effective_n": None,
    }
    return {
        "batch_id": batch,
        "loop": LOOP.loop,
        "model_name": LOOP.model,
        "baseline_version": "1",
        "rule": rule,
        "rule_hash": f"hash-of-{rule}",
        "state": "FIRED" if fired else "QUIET",
        "reason": f"{rule} says: accuracy 0.7777 against 0.7923" if fired else f"{rule} is content",
        "cause": "METRIC_DEGRADATION",
        "action": "FULL_RETRAIN",
        "trigger_id": f"trigger-{batch}" if fired else None,
        "dedupe_key": "k",
        "evidence": [evidence] if fired else [],
        "consecutive": 2,
        "cooldown_until": START + timedelta(days=90) if fired else None,
        "window_start": START,
        "window_end": START + timedelta(days=batch),
        "decided_at": START + timedelta(days=batch),
        "run_id": f"run-{batch}",
    }


def run_row(batch: int, stage: str, place: int, error: str | None = None) -> dict[str, Any]:
    begun = START + timedelta(days=batch, minutes=place)
    return {
        "batch_id": batch,
        "run_id": f"run-{batch}",
        "stage": stage,
        "started_at": begun,
        "ended_at": begun + timedelta(seconds=12.5),
        "rows": 206_067,
        "bytes": 12_345_678,
        "cpu_seconds": 23.4,
        "outcome": "failed" if error else "done",
        "error": error,
        "accepted": [],
    }


def defect_row(batch: int, code: str, n: int, detail: str) -> dict[str, Any]:
    return {
        "batch_id": batch,
        "table": "inferences",
        "code": code,
        "n": n,
        "example_topic": "bfp.inferences",
        "example_partition": 0,
        "example_offset": 412_345,
        "detail": detail,
    }


def planted(batches: int = 3) -> dict[str, Rows]:
    """Rows of `batches` batches; the last one fires, and has a candidate."""
    numbers = range(1, batches + 1)
    landed = EXPECTED - ABORTED - CONTROL
    receipt = {"topic": "bfp.retraining-triggers", "partition": 0, "offset": 5_150}
    measurements = [m for n in numbers for m in (*standings(n), *quality(n), *drift(n))]
    measurements += [m for n in numbers for m in violations(n)]
    return {
        "batches": [batch_row(n, p) for n in numbers for p in (0, 1)],
        "proofs": [proof_row(n, p) for n in numbers for p in (0, 1)],
        "datasets": [dataset_row(n) for n in numbers],
        "measurements": [*measurements, *candidate(batches), *effective(batches)],
        "decisions": [
            decision_row(n, rule, fired=n == batches and rule == "metric_below")
            for n in numbers
            for rule in ("drift", "metric_below", "volume")
        ],
        "receipts": [
            {
                "batch_id": batches,
                "event_id": f"trigger-{batches}",
                "record": "RetrainingTrigger",
                **receipt,
            }
        ],
        "runs": [
            run_row(n, stage, place)
            for n in numbers
            for place, stage in enumerate(("snapshot", "validate"))
        ],
        "defects": [
            *(defect_row(n, "tombstone", 3, "") for n in numbers),
            defect_row(batches, "not_decoded", 14, SCRIPT),
        ],
        "typed": [
            {"batch_id": n, "table": "inferences", "rows": landed, "valid": landed - 17}
            for n in numbers
        ],
        "replayed": [],
    }


@pytest.fixture
def tables() -> dict[str, Rows]:
    """Fresh rows, to be changed at will."""
    return planted()


@pytest.fixture
def loop() -> LoopConfig:
    return LOOP


@pytest.fixture
def told(tables: dict[str, Rows], loop: LoopConfig) -> dict[str, Any]:
    """The document of the last batch."""
    return document(tables, 3, [loop])
