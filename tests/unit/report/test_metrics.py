"""The metrics file says what the document says, in a format that Prometheus reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from processor.report.metrics import metrics


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_is_the_documents(told: dict[str, Any]) -> None:
    found = samples(metrics(told))
    batch = told["batch"]
    account = next(one for one in told["accounts"] if one["batch"] == batch)
    assert found["bfp_batch", frozenset()] == batch
    for name in ("expected", "landed", "lost", "quarantined"):
        assert found[f"bfp_records_{name}", frozenset()] == account[name]
    assert told["defects"]
    for defect in told["defects"]:
        labels = {("table", defect["table"]), ("code", defect["code"])}
        assert found["bfp_defects", frozenset(labels)] == defect["n"]
    (loop,) = told["loops"]
    standing = next(one for one in loop["standings"] if one["batch"] == batch)
    labels = {("loop", loop["loop"]), ("state", "censored")}
    assert found["bfp_inferences", frozenset(labels)] == standing["censored"]["n"]
    decisions = [one for one in loop["decisions"] if one["batch"] == batch]
    assert decisions
    for decision in decisions:
        labels = {("loop", loop["loop"]), ("rule", decision["rule"])}
        assert found["bfp_trigger_fired", frozenset(labels)] == (decision["state"] == "FIRED")
    assert any(name == "bfp_quality" for name, _ in found)


def test_every_gauge_and_label_is_in_the_document_of_operations(told: dict[str, Any]) -> None:
    page = Path(__file__).parents[3] / "docs" / "operations.md"
    rows = re.findall(r"^\| (`bfp_.*?) \| (.*?) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {
        name: set(re.findall(r"`(\w+)`", labels))
        for names, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert listed == {name: {key for key, _ in labels} for name, labels in samples(metrics(told))}
