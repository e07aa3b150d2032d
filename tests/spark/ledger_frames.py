"""Histories and ledgers as frames, and what a batch adds to a ledger, as tests compare it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from processor.feedback.outcomes import Now, changes
from processor.feedback.rule import Rule
from processor.tables import ORIGIN
from tests.spark.ledger_rules import Answer, Inference, Known, Row

Marks = Mapping[int, datetime | None]
MICROS = pa.timestamp("us", tz="UTC")
TEXT = pa.string()
PLACE = {"batch_id": pa.int64(), "landed": pa.int64(), "topic": TEXT}
PLACE |= {"partition": pa.int32(), "offset": pa.int64()}
INFERENCE = {"inference_id": TEXT, "response_time": MICROS, "model_version": TEXT}
INFERENCE |= {"model_name": TEXT, "deployment_id": TEXT, "variant": TEXT}
ANSWER = {"inference_id": TEXT, "event_id": TEXT, "event_time": MICROS}
ANSWER |= {"value": TEXT, "reward": pa.float64(), "op": TEXT, "supersedes": TEXT}
ANSWER |= {"credit": pa.float64(), "solicit_prob": pa.float64()}
LEDGER = {"inference_id": TEXT, "batch_id": pa.int64(), "timing": TEXT, "state": TEXT}
LEDGER |= {"value": TEXT, "reward": pa.float64()}
LEDGER |= {"credit": pa.float64(), "solicit_prob": pa.float64()}


def frame(
    spark: SparkSession, columns: Mapping[str, pa.DataType], rows: Iterable[Sequence[Any]]
) -> DataFrame:
    listed = [dict(zip(columns, row, strict=True)) for row in rows]
    made: DataFrame = spark.createDataFrame(pa.Table.from_pylist(listed, pa.schema(columns)))
    return made


def frame_of_inferences(spark: SparkSession, rows: Iterable[Inference]) -> DataFrame:
    values = [
        (*i.place, i.inference_id, i.response_time, i.model_version, "m", None, None) for i in rows
    ]
    return frame(spark, {**PLACE, **INFERENCE}, values)


def frame_of_answers(spark: SparkSession, rows: Iterable[Answer]) -> DataFrame:
    values = [
        (
            *(*a.place, a.inference_id, a.event_id, a.event_time),
            *(a.value, None, a.op, a.supersedes, 1.0, a.solicit_prob),
        )
        for a in rows
    ]
    return frame(spark, {**PLACE, **ANSWER}, values)


def frame_of_ledger(spark: SparkSession, ledger: Iterable[Known]) -> DataFrame:
    values = [
        (r.inference_id, batch, r.timing, r.state, r.value, r.reward, r.credit, r.solicit_prob)
        for batch, r in ledger
    ]
    return frame(spark, LEDGER, values)


def row_of(found: Mapping[str, Any]) -> Row:
    origins = tuple(tuple(o[name] for name in ORIGIN.names) for o in found["origins"])
    return Row(**{**{name: found[name] for name in Row._fields}, "origins": origins})


def added(
    spark: SparkSession,
    data: tuple[Sequence[Inference], Sequence[Answer]],
    ledger: Sequence[Known],
    batch: int,
    rule: Rule,
    marks: Marks,
) -> list[Row]:
    """What a batch adds, as the stage asks for it."""
    inferences, answers = data
    before = [(n, marks.get(n - 1)) for n in range(1, batch + 1)]
    rows = changes(
        frame_of_inferences(spark, [i for i in inferences if i.place.batch_id <= batch]),
        frame_of_answers(spark, [a for a in answers if a.place.batch_id <= batch]),
        frame_of_ledger(spark, ledger),
        frame(spark, {"batch_id": pa.int64(), "before": MICROS}, before),
        Now(batch, marks[batch], marks.get(batch - 1)),
        rule,
    )
    return [row_of(row) for row in rows.toArrow().to_pylist()]
