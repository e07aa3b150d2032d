"""The ledger of outcomes and the standings, against the rules written again in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from processor.feedback.outcomes import Now, changes, first_by
from processor.feedback.rule import KNOWN_BY, Rule
from processor.feedback.standing import AsOf, latest, standing
from processor.tables import ORIGIN
from tests.spark.ledger_rules import (
    BATCHES,
    MARKS,
    MICRO,
    PATIENT,
    STRICT,
    T0,
    Answer,
    Inference,
    Known,
    Place,
    Row,
    as_of,
    closes,
    expected,
    histories,
    last_known,
    passed,
)

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


def added(  # one batch, as the stage asks for it
    spark: SparkSession,
    data: tuple[Sequence[Inference], Sequence[Answer]],
    ledger: Sequence[Known],
    batch: int,
    rule: Rule,
) -> list[Row]:
    inferences, answers = data
    before = [(n, MARKS.get(n - 1)) for n in range(1, batch + 1)]
    rows = changes(
        frame_of_inferences(spark, [i for i in inferences if i.place.batch_id <= batch]),
        frame_of_answers(spark, [a for a in answers if a.place.batch_id <= batch]),
        frame_of_ledger(spark, ledger),
        frame(spark, {"batch_id": pa.int64(), "before": MICROS}, before),
        Now(batch, MARKS[batch], MARKS.get(batch - 1)),
        rule,
    )
    return [row_of(row) for row in rows.toArrow().to_pylist()]


def standings_of(
    data: tuple[Sequence[Inference], Sequence[Answer]],
    ledger: Sequence[Known],
    batch: int,
    rule: Rule,
) -> Counter[str]:
    counted: Counter[str] = Counter()
    for inference, _ in as_of(batch, *data):
        was = last_known(ledger, inference.inference_id)
        if was is not None:
            counted["retracted" if was.state == "RETRACTED" else "known"] += 1
        else:
            counted["unknown" if passed(MARKS[batch], closes(inference, rule)) else "censored"] += 1
    for amiss in ("LATE", "OUTSIDE"):
        counted[amiss.lower()] = len({r.inference_id for _, r in ledger if r.timing == amiss})
    return +counted


@pytest.mark.parametrize("rule", [PATIENT, STRICT], ids=["silence says nothing", "silence is no"])
def test_batch_by_batch_the_ledger_is_what_the_rules_say(spark: SparkSession, rule: Rule) -> None:
    data = histories(seed=7)
    ledger: list[Known] = []
    for batch in BATCHES:
        wanted = [
            row
            for inference, answers in as_of(batch, *data)
            for row in expected(
                inference, answers, last_known(ledger, inference.inference_id), batch, rule
            )
        ]
        found = added(spark, data, ledger, batch, rule)
        assert sorted(found, key=repr) == sorted(wanted, key=repr), f"batch {batch}"
        ledger += [(batch, row) for row in found]
        stood = standing(
            frame_of_first(spark, data[0], batch),
            frame_of_ledger(spark, ledger),
            rule,
            *(AsOf(each, MARKS[each]) for each in BATCHES[:batch]),
        )
        counts = {each: Counter[str]() for each in BATCHES[:batch]}
        for row in stood.collect():
            counts[row["batch_id"]][row["standing"]] = row["n"]
        for each, counted in counts.items():
            known = [(n, row) for n, row in ledger if n <= each]
            assert counted == standings_of(data, known, each, rule)
    assert_all_was_seen(ledger, rule)


def frame_of_first(spark: SparkSession, rows: Sequence[Inference], batch: int) -> DataFrame:
    known = [row for row in rows if row.place.batch_id <= batch]
    return first_by(frame_of_inferences(spark, known), "inference_id")


def assert_all_was_seen(ledger: Sequence[Known], rule: Rule) -> None:
    """The histories are no test of what does not occur in them."""
    timings = {row.timing for _, row in ledger}
    assert timings >= {"ON_TIME", "LATE", "OUTSIDE"}
    assert ("DEFAULT" in timings) == (rule.silence is not None)
    assert {row.state for _, row in ledger} == {"POSITIVE", "NEGATIVE", "RETRACTED"}
    changed = Counter(row.inference_id for _, row in ledger if row.timing in KNOWN_BY)
    assert max(changed.values()) > 1


def test_the_last_known_of_an_inference_is_of_its_last_batch(spark: SparkSession) -> None:
    def row(timing: str, value: str | None, state: str) -> Row:
        return Row("i", "v1", T0, state, timing, value, None, 1.0, None, None, ())

    ledger = [
        (9, row("LATE", "yes", "POSITIVE")),
        (3, row("ON_TIME", None, "RETRACTED")),
        (2, row("ON_TIME", "yes", "POSITIVE")),
        (4, row("OUTSIDE", "no", "NEGATIVE")),
    ]
    (found,) = latest(frame_of_ledger(spark, ledger), "batch_id", "state", "value").collect()
    assert (found["batch_id"], found["state"], found["value"]) == (3, "RETRACTED", None)


def test_of_rows_with_one_key_the_first_by_place_is_kept(spark: SparkSession) -> None:
    rng = Random(5)
    rows = [
        Inference(
            Place(
                rng.choice((1, 2)), rng.choice((1, 2)), rng.choice("ab"), rng.choice((0, 1)), offset
            ),
            rng.choice(("x", "y", "z")),
            T0 + MICRO * offset,
            "v1",
        )
        for offset in range(60)
    ]
    rng.shuffle(rows)
    found = {
        r["inference_id"]: Place(*(r[name] for name in Place._fields))
        for r in first_by(frame_of_inferences(spark, rows), "inference_id").collect()
    }
    keyed = sorted((r.inference_id, r.place) for r in rows)
    assert found == {name: next(group)[1] for name, group in groupby(keyed, lambda pair: pair[0])}
