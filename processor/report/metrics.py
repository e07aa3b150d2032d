"""The batch's figures in the Prometheus text format, for a scraper that reads files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from processor.measurements import OVERALL
from processor.report.loop import AMISS, STANDINGS

PREFIX = "bfp"


def metrics(document: Mapping[str, Any]) -> str:
    """Gauges of the report's batch: its account, defects, outcomes, accuracy, decisions, stages."""
    registry = CollectorRegistry()

    def put(name: str, text: str, value: float, **labels: str) -> None:
        known = gauges.get(name)
        if known is None:
            known = Gauge(f"{PREFIX}_{name}", text, list(labels), registry=registry)
            gauges[name] = known
        (known.labels(**labels) if labels else known).set(value)

    gauges: dict[str, Gauge] = {}
    batch = document["batch"]
    put("batch", "Number of the last batch", batch)
    account = next(one for one in document["accounts"] if one["batch"] == batch)
    for name in ("expected", "landed", "lost", "quarantined"):
        put(f"records_{name}", f"Offsets {name} in the batch", account[name] or 0)
    for defect in document["defects"]:
        labels = {"table": defect["table"], "code": defect["code"]}
        put("defects", "Records with a defect in the batch", defect["n"], **labels)
    for run in document["runs"]:
        if run["batch"] == batch and run["seconds"] is not None:
            put("stage_seconds", "Duration of a stage", run["seconds"], stage=run["stage"])
    for loop in document["loops"]:
        _loop(loop, batch, put)
    return generate_latest(registry).decode()


def _loop(loop: Mapping[str, Any], batch: int, put: Any) -> None:  # noqa: ANN401  # a closure over labels
    name = loop["loop"]
    for standing in (one for one in loop["standings"] if one["batch"] == batch):
        for state in (*STANDINGS, *AMISS):
            text = "Inferences by what is known of them"
            put("inferences", text, standing[state]["n"] or 0, loop=name, state=state)
    for decision in (one for one in loop["decisions"] if one["batch"] == batch):
        fired = decision["state"] == "FIRED"
        put("trigger_fired", "Whether a rule fired", fired, loop=name, rule=decision["rule"])
    for quality in loop["quality"]:
        points = [one for one in quality["points"] if one["batch"] == batch]
        if quality["slice"] == OVERALL and points and points[-1]["value"] is not None:
            labels = {n: quality[n] for n in ("metric", "window", "model_version")}
            put("quality", "Quality of a model", points[-1]["value"], loop=name, **labels)
