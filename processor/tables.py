"""Every table: name, schema, key; a typed table has the columns of its contract."""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import datetime
from typing import Any

from pyspark.sql import types as T

from processor.avro.contracts import contract, struct_type
from processor.config import Topics
from processor.measurements import Measurement
from processor.table import Table, struct

_LONG, _INT, _DOUBLE = T.LongType(), T.IntegerType(), T.DoubleType()
_TEXT, _BYTES, _FLAG, _TIME = T.StringType(), T.BinaryType(), T.BooleanType(), T.TimestampType()

RECORDS = {
    "inferences": "InferenceEvent",
    "feedback": "FeedbackEvent",
    "sessions": "SessionContext",
    "feature_sets": "FeatureMetadata",
    "ground_truth": "GroundTruth",
    "lifecycle": "ModelLifecycle",
    "erasures": "ErasureRequest",
}
"""The contract of each typed table."""


COORDINATES = ("topic", "partition", "offset")
"""Where a record stands on Kafka, as long as its topic is not made anew."""
ORIGIN = struct(batch_id=_LONG, topic=_TEXT, partition=_INT, offset=_LONG)
"""Where an event stands in the log: the batch that landed it tells a topic from one made anew."""
DEFECT = struct(code=_TEXT, detail=_TEXT)
HEADER = struct(key=_TEXT, value=_BYTES)
SPLIT = struct(name=_TEXT, rows=_LONG, sha256=_TEXT)
EVIDENCE = struct(
    metric=_TEXT,
    slice=_TEXT,
    method=_TEXT,
    observed=_DOUBLE,
    reference=_DOUBLE,
    threshold=_DOUBLE,
    ci_low=_DOUBLE,
    ci_high=_DOUBLE,
    effect=_DOUBLE,
    p_value=_DOUBLE,
    q_value=_DOUBLE,
    n=_LONG,
    effective_n=_DOUBLE,
)


def _column(annotation: Any) -> T.DataType:  # noqa: ANN401  # annotations have no common type
    if isinstance(annotation, types.UnionType):
        (annotation,) = (part for part in typing.get_args(annotation) if part is not type(None))
    known = {str: _TEXT, int: _LONG, float: _DOUBLE, bool: _FLAG, datetime: _TIME}
    return known[annotation]


def _columns_of(record: type) -> dict[str, T.DataType]:
    """The columns of a dataclass of plain fields: its rows are written as they are."""
    hints = typing.get_type_hints(record)
    return {field.name: _column(hints[field.name]) for field in dataclasses.fields(record)}


def _typed(name: str, record: str) -> Table:
    event = struct_type(contract(record).schema)
    origin = T.StructType(
        [*ORIGIN, T.StructField("timestamp", _TIME), T.StructField("schema", _TEXT)]
    )
    lead = struct(batch_id=_LONG, attempt=_INT, origin=origin, defects=T.ArrayType(DEFECT))
    schema = T.StructType([*lead, *event])
    sought_by = tuple(each for each in _SOUGHT_BY if each.split(".")[0] in schema.names)
    return Table(name, schema, ("origin", "attempt"), sought_by=sought_by)


# Of the origin its batch alone: whoever looks for a record of the log finds its files by that.
_SOUGHT_BY = ("batch_id", "attempt", "origin.batch_id", "event_id", "event_time", "response_time")


BATCHES = Table(
    "batches",
    struct(
        batch_id=_LONG,
        topic=_TEXT,
        topic_id=_TEXT,
        partition=_INT,
        start_offset=_LONG,
        end_offset=_LONG,
        log_start_offset=_LONG,
        high_watermark=_LONG,
        first_seen=_FLAG,
        left_over=_LONG,
        cut_time=_TIME,
        planned_at=_TIME,
        run_id=_TEXT,
        config_hash=_TEXT,
        code_version=_TEXT,
        replay=_TEXT,
    ),
    ("batch_id", "topic", "partition"),
)
LOG = Table(
    "log",
    struct(
        batch_id=_LONG,
        topic=_TEXT,
        partition=_INT,
        offset=_LONG,
        timestamp=_TIME,
        timestamp_type=_INT,
        key=_BYTES,
        value=_BYTES,
        headers=T.ArrayType(HEADER),
    ),
    ("topic", "partition", "offset"),
    partition_by=("topic",),
)
PROOFS = Table(
    "proofs",
    struct(
        batch_id=_LONG,
        topic=_TEXT,
        partition=_INT,
        expected=_LONG,
        landed=_LONG,
        control=_LONG,
        aborted=_LONG,
        compacted=_LONG,
        lost=_LONG,
        digest=_TEXT,
        schema_refs=T.ArrayType(_TEXT),
        watermark=_TIME,
    ),
    ("batch_id", "topic", "partition"),
)
LOSSES = Table(
    "losses",
    struct(
        batch_id=_LONG,
        topic=_TEXT,
        topic_id=_TEXT,
        partition=_INT,
        start_offset=_LONG,
        end_offset=_LONG,
        found_at=_TIME,
        run_id=_TEXT,
    ),
    ("batch_id", "topic", "partition", "end_offset"),
)
SCHEMAS = Table(
    "schemas",
    struct(
        batch_id=_LONG,
        registry=_TEXT,
        schema_ref=_TEXT,
        text=_TEXT,
    ),
    ("registry", "schema_ref"),
)
OUTCOMES = Table(
    "outcomes",
    struct(
        batch_id=_LONG,
        loop=_TEXT,
        inference_id=_TEXT,
        model_name=_TEXT,
        model_version=_TEXT,
        deployment_id=_TEXT,
        variant=_TEXT,
        metric=_TEXT,
        state=_TEXT,
        timing=_TEXT,
        value=_TEXT,
        reward=_DOUBLE,
        credit=_DOUBLE,
        solicit_prob=_DOUBLE,
        response_time=_TIME,
        answered_at=_TIME,
        origins=T.ArrayType(ORIGIN),
    ),
    ("inference_id", "metric", "batch_id", "timing"),
    sought_by=("batch_id", "loop", "inference_id", "metric", "timing", "response_time"),
)
EXPIRED = Table(
    "expired",
    struct(
        batch_id=_LONG,
        loop=_TEXT,
        metric=_TEXT,
        table=_TEXT,
        reason=_TEXT,
        event_id=_TEXT,
        event_time=_TIME,
        about=_TEXT,
        origin=ORIGIN,
    ),
    ("loop", "metric", "about", "origin"),
)
DATASETS = Table(
    "datasets",
    struct(
        batch_id=_LONG,
        loop=_TEXT,
        dataset=_TEXT,
        version=_TEXT,
        parent_version=_TEXT,
        kind=_TEXT,
        formats=T.ArrayType(_TEXT),
        uri=_TEXT,
        manifest_uri=_TEXT,
        content_sha256=_TEXT,
        schema_json=_TEXT,
        row_count=_LONG,
        new_rows=_LONG,
        splits=T.ArrayType(SPLIT),
        dropped=T.MapType(_TEXT, _LONG),
        quality=T.MapType(_TEXT, _DOUBLE),
        seed=_LONG,
        code_version=_TEXT,
        config_hash=_TEXT,
        run_id=_TEXT,
        created_at=_TIME,
    ),
    ("dataset", "version"),
)
DATASET_ROWS = Table(
    "dataset_rows",
    struct(
        batch_id=_LONG,
        dataset=_TEXT,
        version=_TEXT,
        inference_id=_TEXT,
        label=_TEXT,
        split=_TEXT,
        inclusion_prob=_DOUBLE,
        weight=_DOUBLE,
        origins=T.ArrayType(ORIGIN),
    ),
    ("dataset", "version", "inference_id"),
)
LABEL_REQUESTS = Table(
    "label_requests",
    struct(
        batch_id=_LONG,
        loop=_TEXT,
        query_id=_TEXT,
        inference_id=_TEXT,
        policy=_TEXT,
        score=_DOUBLE,
        inclusion_prob=_DOUBLE,
        priority=_INT,
        response_time=_TIME,
        asked_at=_TIME,
        expires_at=_TIME,
    ),
    ("loop", "inference_id"),
)
SOURCES = Table(
    "sources",
    struct(
        batch_id=_LONG,
        loop=_TEXT,
        source=_TEXT,
        answers=_LONG,
        timed=_LONG,
        fast=_LONG,
        minutes=_LONG,
        crowded=_LONG,
        compared=_LONG,
        matched=_DOUBLE,
        expected=_DOUBLE,
        bets=T.ArrayType(_LONG),
        only=_TEXT,
        sameness=_LONG,
        most=_LONG,
        log_e=_DOUBLE,
        verdict=_TEXT,
        reasons=T.ArrayType(_TEXT),
    ),
    ("batch_id", "loop", "source"),
)
PROFILES = Table(
    "profiles",
    struct(
        batch_id=_LONG,
        loop=_TEXT,
        model_name=_TEXT,
        model_version=_TEXT,
        slice=_TEXT,
        feature=_TEXT,
        kind=_TEXT,
        n=_LONG,
        missing=_LONG,
        edges=T.ArrayType(_DOUBLE),
        counts=T.MapType(_TEXT, _LONG),
    ),
    ("batch_id", "model_version", "slice", "feature"),
)
MEASUREMENTS = Table(
    "measurements",
    struct(batch_id=_LONG, **_columns_of(Measurement)),
    ("batch_id", "loop", "model_version", "metric", "slice", "window", "feature"),
)
DECISIONS = Table(
    "decisions",
    struct(
        batch_id=_LONG,
        loop=_TEXT,
        model_name=_TEXT,
        baseline_version=_TEXT,
        rule=_TEXT,
        rule_hash=_TEXT,
        state=_TEXT,
        reason=_TEXT,
        cause=_TEXT,
        action=_TEXT,
        trigger_id=_TEXT,
        dedupe_key=_TEXT,
        evidence=T.ArrayType(EVIDENCE),
        consecutive=_INT,
        cooldown_until=_TIME,
        window_start=_TIME,
        window_end=_TIME,
        decided_at=_TIME,
        run_id=_TEXT,
    ),
    ("batch_id", "loop", "rule_hash"),
)
RECEIPTS = Table(
    "receipts",
    struct(
        batch_id=_LONG,
        event_id=_TEXT,
        record=_TEXT,
        topic=_TEXT,
        partition=_INT,
        offset=_LONG,
    ),
    ("event_id",),
)
RUNS = Table(
    "runs",
    struct(
        batch_id=_LONG,
        run_id=_TEXT,
        stage=_TEXT,
        started_at=_TIME,
        ended_at=_TIME,
        rows=_LONG,
        bytes=_LONG,
        cpu_seconds=_DOUBLE,
        outcome=_TEXT,
        error=_TEXT,
        accepted=T.ArrayType(_TEXT),
    ),
    ("run_id", "stage"),
)
TYPED = {name: _typed(name, RECORDS[name]) for name in Topics.model_fields}
TABLES = (
    *(BATCHES, LOG, LOSSES, PROOFS, SCHEMAS, *TYPED.values(), OUTCOMES, EXPIRED, DATASETS),
    *(DATASET_ROWS, LABEL_REQUESTS, SOURCES, PROFILES, MEASUREMENTS, DECISIONS, RECEIPTS, RUNS),
)
