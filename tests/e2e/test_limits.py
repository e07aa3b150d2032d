"""Limits of what one field may hold, in a run of its own: a JVM reads them once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from processor.avro import defects
from processor.avro.contracts import contract
from processor.local.stack import Stack
from tests.e2e.job import run
from tests.kafka.lab import Lab, Record, body, by_number, registered, said

ITEMS, TEXT_BYTES = 3, 50
LIMITS = ("--set", f"limits.items={ITEMS}", "--set", f"limits.text_bytes={TEXT_BYTES}")
DECODED = ("--stage", "snapshot", "--stage", "validate")
Fields = dict[str, Any]


def tags(count: int) -> Fields:
    return {"tags": {f"tag {n}": "" for n in range(count)}}


def candidates(count: int) -> Fields:
    return {"candidates": [{"candidate_id": str(n), "rank": n} for n in range(count)]}


def text(of_bytes: int) -> Fields:
    """A text of so many bytes of UTF-8, and of half as many characters."""
    return {"pred_label": "é" * (of_bytes // 2) + "e" * (of_bytes % 2)}


WITHIN = [tags(ITEMS), candidates(ITEMS), text(TEXT_BYTES)]
BEYOND = [tags(ITEMS + 1), candidates(ITEMS + 1), text(TEXT_BYTES + 1)]


def test_an_honest_record_is_a_defect_just_beyond_a_limit_and_none_at_it(
    stack: Stack, spark_session: SparkSession, tmp_path: Path
) -> None:
    lab = Lab(spark_session, stack.bootstrap_servers, stack.registry_url, tmp_path).create()
    schema = contract("InferenceEvent").text
    number = registered(stack.registry_url, lab.topic("inferences"), schema)
    events = [said(str(n)) | fields for n, fields in enumerate((*WITHIN, *BEYOND))]
    lab.send("inferences", [Record(by_number(number, body(each, schema))) for each in events])
    assert lab.config.limits.items > ITEMS
    done = run(lab.home / "bfp.yaml", *LIMITS, *DECODED)
    assert done.returncode == 0, done.stderr
    found = sorted(lab.rows("inferences"), key=lambda row: row["origin"]["offset"])
    codes = [[each["code"] for each in row["defects"]] for row in found]
    assert codes == [[]] * len(WITHIN) + [[defects.MALFORMED]] * len(BEYOND)
    assert [row["inference_id"] for row in found] == ["0", "1", "2", None, None, None]
