"""However a stream of events is split into batches, the ledger after all of them is the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import NamedTuple

import pytest
from pyspark.sql import SparkSession

from processor.feedback.rule import KNOWN_BY, Rule
from tests.spark import ledger_rules
from tests.spark.ledger_frames import added
from tests.spark.ledger_rules import (
    HOUR,
    MINUTE,
    PATIENT,
    STRICT,
    T0,
    Answer,
    Inference,
    Known,
    Place,
    as_of,
    expected,
    histories,
    last_known,
)

SPLITS = 6
BATCHES = range(1, 7)
CLOSING = 3
"""The batch in which windows close: what is late follows from it, so every split has it."""
MARKS: Mapping[int, datetime | None] = {
    **dict.fromkeys(range(1, CLOSING)),
    **dict.fromkeys(range(CLOSING, BATCHES[-1]), T0 + HOUR + 10 * MINUTE),
    BATCHES[-1]: T0 + 4 * HOUR,
}

Stream = tuple[list[Inference], list[Answer]]


class End(NamedTuple):
    """What a ledger comes to: the last that is known, and what came amiss, each once."""

    known: dict[str, tuple[object, ...]]
    amiss: list[tuple[str, str, int]]


def stream(seed: int) -> Stream:
    """Random histories in one order of arrival, that of their offsets."""
    inferences, answers = histories(seed)
    count = len(inferences) + len(answers)
    at = (Place(0, 0, "t", 0, offset) for offset in Random(seed).sample(range(count), count))
    return (
        [replace(one, place=next(at)) for one in inferences],
        [replace(one, place=next(at)) for one in answers],
    )


def cuts(rng: Random, events: int) -> list[int]:
    """Where each batch but the last ends; some batches are empty."""
    middle = events // 2
    before = sorted(rng.randint(0, middle) for _ in range(CLOSING - 1))
    after = sorted(rng.randint(middle, events) for _ in range(len(BATCHES) - CLOSING - 1))
    return [*before, middle, *after]


def split(told: Stream, name: str, ends: Sequence[int]) -> Stream:
    """The stream in batches that end there; its inferences are named after the split."""

    def place(at: Place) -> Place:
        batch = BATCHES[0] + sum(at.offset >= end for end in ends)
        return at._replace(batch_id=batch, landed=batch)

    inferences, answers = told
    return (
        [replace(i, place=place(i.place), inference_id=name + i.inference_id) for i in inferences],
        [replace(a, place=place(a.place), inference_id=name + a.inference_id) for a in answers],
    )


def ended(ledger: Iterable[Known]) -> dict[str, End]:
    """What the ledger of each split comes to, by the split's name."""
    ends: dict[str, End] = defaultdict(lambda: End({}, []))
    for _, row in sorted(ledger, key=lambda pair: pair[0]):
        name, _, inference = row.inference_id.partition("|")
        if row.timing in KNOWN_BY:
            said = (row.timing, row.state, row.value, row.reward, row.solicit_prob)
            ends[name].known[inference] = said
        else:
            ends[name].amiss.extend((inference, row.timing, o[3]) for o in row.origins[1:])
    return {name: end._replace(amiss=sorted(end.amiss)) for name, end in ends.items()}


def by_the_rules(told: Stream, rule: Rule) -> list[Known]:
    """The ledger of the rules in plain Python."""
    ledger: list[Known] = []
    for batch in BATCHES:
        ledger += [
            (batch, row)
            for inference, answers in as_of(batch, *told)
            for row in expected(
                inference, answers, last_known(ledger, inference.inference_id), batch, rule
            )
        ]
    return ledger


@pytest.mark.parametrize("rule", [PATIENT, STRICT], ids=["silence says nothing", "silence is no"])
def test_every_split_ends_with_the_ledger_of_the_rules(
    spark: SparkSession, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early, late, doubled, corrected, retracted, orphaned and out of order, in one job a batch."""
    monkeypatch.setattr(ledger_rules, "MARKS", MARKS)
    whole, rng = stream(seed=11), Random(12)
    events = len(whole[0]) + len(whole[1])
    middle = events // 2
    at_once = [0] * (CLOSING - 1) + [middle] + [events] * (len(BATCHES) - CLOSING - 1)
    cut = [at_once, *(cuts(rng, events) for _ in range(SPLITS - 1))]
    parts = [split(whole, f"s{number}|", each) for number, each in enumerate(cut)]
    inferences = [row for said, _ in parts for row in said]
    answers = [row for _, heard in parts for row in heard]
    ledger: list[Known] = []
    for batch in BATCHES:
        ledger += [
            (batch, row) for row in added(spark, (inferences, answers), ledger, batch, rule, MARKS)
        ]
    (wanted,) = ended(by_the_rules(parts[0], rule)).values()
    ends = ended(ledger)
    assert set(ends) == {f"s{number}" for number in range(SPLITS)}
    for name, end in ends.items():
        assert end == wanted, name
    assert_all_was_seen(wanted, rule)


def assert_all_was_seen(end: End, rule: Rule) -> None:
    """The histories are no test of what does not occur in them."""
    assert {timing for _, timing, _ in end.amiss} == {"LATE", "OUTSIDE"}
    timings, states = zip(*(said[:2] for said in end.known.values()), strict=True)
    assert set(states) == {"POSITIVE", "NEGATIVE", "RETRACTED"}
    assert ("DEFAULT" in timings) == (rule.silence is not None)
