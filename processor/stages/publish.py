"""publish: decisions to fire, new versions and label requests become events, each sent once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from processor.avro.contracts import contract
from processor.avro.encode import encode
from processor.batches import Batch
from processor.kafka.producer import Outgoing, Publisher, Receipt
from processor.stages import catalog
from processor.stages.base import Context, Stage, Writes
from processor.stages.schemas import references
from processor.tables import DATASETS, DECISIONS, LABEL_REQUESTS, RECEIPTS

TRIGGER, DATASET, REQUEST = "RetrainingTrigger", "DatasetPublished", "LabelRequest"
SOURCE = "/batch-feedback-processor"
_WHEN = ("decided_at", "created_at", "asked_at")
_REQUESTED = (
    *("query_id", "inference_id", "loop", "policy", "score", "inclusion_prob"),
    *("priority", "expires_at"),
)
_NAMESPACE = uuid.UUID("8f3a1c52-7f0e-5d0b-9a55-0c6f6a0d9b1e")


def run(context: Context, batch: Batch) -> None:
    """Sends what has no receipt yet: all of it is in Delta first, so nothing is lost.

    A crash between sending and the receipts leaves events without one; their ids are looked for
    on the topic first, so that they are not sent again.
    """
    writes = Writes("publish", context, batch)
    if not writes.pending(RECEIPTS):
        return
    receipts = context.rows(RECEIPTS, batch)
    have = {row["event_id"] for row in receipts}
    due = [event for event in _events(context, batch, have) if event.event_id not in have]
    fresh = _delivered(context, batch, due, receipts) if due else ()
    writes.rows(RECEIPTS, [{"batch_id": batch.id, **vars(receipt)} for receipt in fresh])


def _delivered(
    context: Context, batch: Batch, due: list[Outgoing], receipts: Iterable[Mapping[str, Any]]
) -> tuple[Receipt, ...]:
    publisher = Publisher(context.config.kafka, SOURCE)
    sent: dict[str, Receipt] = {}
    for topic in sorted({event.topic for event in due}):
        ends: dict[int, int] = {}
        for row in receipts:
            if row["topic"] == topic:
                ends[row["partition"]] = max(row["offset"], ends.get(row["partition"], -1))
        sent |= publisher.already_sent(topic, ends)
    missing = [event for event in due if event.event_id not in sent]
    context.say(f"publishing {len(missing)} events")
    refs = references(context, batch, {event.topic: event.schema for event in missing})
    fresh = publisher.send(missing, lambda e: encode(e.body, e.schema, refs[e.topic]))
    return (*(sent[e.event_id] for e in due if e.event_id in sent), *fresh)


def _events(context: Context, batch: Batch, have: Collection[str]) -> Iterator[Outgoing]:
    """What there is to send; a version that `have` holds is not opened again for it."""
    versions = context.rows(DATASETS, batch)
    outputs = context.config.outputs
    for row in versions:
        if (event_id := _announced(row)) not in have:
            body = {"event_id": event_id, **_dataset(context, row)}
            yield _outgoing(DATASET, outputs.datasets, row["dataset"], body, row)
    for row in context.rows(DECISIONS, batch):
        if row["state"] == "FIRED":
            body = _trigger(row, versions)
            yield _outgoing(TRIGGER, outputs.retraining_triggers, row["model_name"], body, row)
    for row in _unsent_requests(context, batch):
        body = {"event_id": row["query_id"], **{name: row[name] for name in _REQUESTED}}
        yield _outgoing(REQUEST, outputs.label_requests, row["inference_id"], body, row)


def _unsent_requests(context: Context, batch: Batch) -> list[dict[str, Any]]:
    """Those of batches since the last that was published wholly: there may be many in all."""
    sent = context.warehouse.committed(RECEIPTS, STAGE.writer(RECEIPTS))
    rows = context.warehouse.rows(
        LABEL_REQUESTS, as_of=batch.id, where=[("batch_id", ">", sent)]
    ).to_pylist()
    return sorted(rows, key=lambda row: (row["batch_id"], row["loop"], row["priority"]))


def _outgoing(
    record: str, topic: str, key: str, body: dict[str, Any], row: Mapping[str, Any]
) -> Outgoing:
    when = next(row[name] for name in _WHEN if name in row)
    head = {
        "event_time": when,
        "source": SOURCE,
        "tenant": "default",
        "subject_key": None,
        "training_allowed": True,
        "tags": {},
    }
    schema = contract(record).text
    return Outgoing(body["event_id"], record, schema, topic, key, {**head, **body}, when)


def _announced(row: Mapping[str, Any]) -> str:
    """The id of the event that tells of a version."""
    name = f"dataset|{row['dataset']}|{row['version']}|{row['content_sha256']}"
    return str(uuid.uuid5(_NAMESPACE, name))


def _dataset(context: Context, row: dict[str, Any]) -> dict[str, Any]:
    copied = (
        *("dataset", "version", "parent_version", "kind", "formats", "uri", "manifest_uri"),
        *("content_sha256", "schema_json", "row_count", "splits", "batch_id", "code_version"),
        *("config_hash", "seed", "run_id"),
    )
    return {
        **{name: row[name] for name in copied},
        "sources": catalog.manifest(context.warehouse, row)["sources"],
        "dropped": dict(row["dropped"]),
        "quality": dict(row["quality"]),
    }


def _trigger(row: Mapping[str, Any], versions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [v for v in versions if v["loop"] == row["loop"] and v["batch_id"] <= row["batch_id"]]
    newest = max(mine, key=lambda v: (v["batch_id"], v["dataset"]), default=None)
    copied = (
        *("trigger_id", "dedupe_key", "loop", "rule", "rule_hash", "state", "action"),
        *("model_name", "baseline_version", "batch_id", "window_start", "window_end"),
        *("consecutive", "cooldown_until", "evidence"),
    )
    return {
        **{name: row[name] for name in copied},
        "event_id": row["trigger_id"],
        "reason": row["cause"],
        "dataset": newest and newest["dataset"],
        "dataset_version": newest and newest["version"],
        "dataset_uri": newest and newest["uri"],
        "explanation": row["reason"],
        "run_id": row["run_id"],
        "params": {"datasets": json.dumps([[v["dataset"], v["version"]] for v in mine])},
    }


STAGE = Stage(
    "publish",
    "send triggers, dataset announcements and label requests, keep receipts",
    (DECISIONS, DATASETS, LABEL_REQUESTS, RECEIPTS),
    (RECEIPTS,),
    run,
)
