"""The ledger of outcomes and the standings, against the rules written again in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from random import Random

import pytest
from pyspark.sql import DataFrame, SparkSession

from processor.feedback.outcomes import first_by
from processor.feedback.rule import KNOWN_BY, Rule
from processor.feedback.standing import AsOf, latest, standing
from tests.spark.ledger_frames import (
    added,
    frame_of_inferences,
    frame_of_ledger,
)
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
        found = added(spark, data, ledger, batch, rule, MARKS)
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
