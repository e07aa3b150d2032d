"""What is said about a training: lifecycle events and shadow predictions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from trainer.bus import Event
from trainer.dataset import Dataset
from trainer.model import Model

SOURCE = "urn:bfp:example:training-pipeline"
NAMESPACE = uuid.UUID("5b0b8a4e-52a8-5d3c-8f55-0d3a2a3f7c11")
THRESHOLD = 0.5  # probability from which the positive label is predicted


def _id(trigger: Mapping[str, Any], what: str) -> str:
    """The id of what follows from a trigger: the same however often it is done again."""
    return str(uuid.uuid5(NAMESPACE, f"{trigger['trigger_id']}|{what}"))


def version_of(trigger: Mapping[str, Any]) -> str:
    """The version that training on this trigger makes."""
    return f"{trigger['dataset_version']}-{trigger['trigger_id'][:8]}"


def lifecycle(
    trigger: Mapping[str, Any], action: str, at: datetime, topic: str, more: Mapping[str, object]
) -> Event:
    """What became of the trigger's model."""
    body = {
        "event_id": _id(trigger, action),
        "event_time": at,
        "source": SOURCE,
        "model_name": trigger["model_name"],
        "model_version": version_of(trigger),
        "action": action,
        "from_version": trigger["baseline_version"],
        "trigger_id": trigger["trigger_id"],
        "dataset": trigger["dataset"],
        "dataset_version": trigger["dataset_version"],
        "training_run_id": _id(trigger, "run"),
        **more,
    }
    return Event(topic, "ModelLifecycle", trigger["model_name"], body)


def shadows(
    trigger: Mapping[str, Any], model: Model, dataset: Dataset, at: datetime, topic: str
) -> Iterator[Event]:
    """What the new model says to the requests of the test split, which no training saw."""
    rows = dataset.rows("test")
    positive = dataset.manifest["positive"]
    negative = next(str(name) for name in model.pipeline.classes_ if name != positive)
    prefixes = dataset.manifest["features"]
    chances = model.probabilities(rows, positive)
    for row, chance in zip(rows.to_pylist(), chances, strict=True):
        inference_id = _id(trigger, f"inference|{row['inference_id']}")
        body = {
            "event_id": _id(trigger, f"shadow|{row['inference_id']}"),
            "event_time": at,
            "source": SOURCE,
            "subject_key": row["subject_key"],
            "inference_id": inference_id,
            "request_id": row["request_id"],
            "task": "CLASSIFICATION",
            "model_name": trigger["model_name"],
            "model_version": version_of(trigger),
            "role": "SHADOW",
            "response_time": at,
            "status": "OK",
            "features_num": _with_prefix(row, prefixes["numeric"]),
            "features_str": _with_prefix(row, prefixes["categorical"]),
            "pred_label": positive if chance >= THRESHOLD else negative,
            "class_probs": {positive: chance, negative: 1 - chance},
        }
        yield Event(topic, "InferenceEvent", inference_id, body)


def _with_prefix(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found = {k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix)}
    return {name: value for name, value in found.items() if value is not None}
