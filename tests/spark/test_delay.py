"""How answers come over time, counted by Spark from real tables, against plain Python."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.measure.answered import delays as counted
from processor.measure.delay import BINS, LOOKBACK, OPEN, PLACES
from processor.measurements import Measurement
from processor.stages import compile as compile_
from processor.stages.base import Context
from processor.stages.delay import delays
from processor.tables import PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, typed

HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)
WINDOW, GRACE = 48 * HOUR, 6 * HOUR
MARK = T0 + 240 * HOUR
MARKS = {1: MARK - 100 * HOUR, 2: MARK}
INFERENCES = 900
SINCE = MARK - 2 * WINDOW - GRACE


def loop(name: str, **told: Any) -> LoopConfig:  # noqa: ANN401  # any key
    outcome = {"metric": "good", "window": "48h", "grace": "6h", **told}
    return LoopConfig.model_validate({"loop": name, "model": "bot", "outcome": outcome})


LOOPS = {
    each.loop: each
    for each in (
        loop("thumbs", signal="thumbs", late="10h"),
        loop("clicks", signal="click", default="negative"),
        loop("dwell", signal="dwell"),
        loop("never", signal="flag"),
    )
}


class Said(NamedTuple):
    """An inference and its answers: the hours that each took, and what it says."""

    at: datetime
    name: str
    answers: tuple[tuple[timedelta, bool, str], ...]


def history(rng: Random) -> list[Said]:
    """Some on the ends of spans, some answered at once, at the last moment, too late, or again."""
    edges = (
        MARK,
        MARK - GRACE,
        MARK - GRACE + MOMENT,
        MARK - WINDOW - GRACE,
        SINCE,
        SINCE + MOMENT,
    )
    found = []
    for number in range(INFERENCES):
        at = edges[number] if number < len(edges) else MARK - rng.random() * 130 * HOUR
        answers = []
        for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
            took = rng.choice((0 * HOUR, WINDOW, WINDOW / BINS, rng.random() ** 2 * 60 * HOUR))
            if at + took <= MARK:
                answers.append((took, rng.random() < 0.7, "CREATE"))
        if answers and rng.random() < 0.1 and at + 50 * HOUR <= MARK:
            answers.append((answers[-1][0] + MOMENT, True, "RETRACT"))
        found.append(Said(at, f"i{number}", tuple(answers)))
    return found


SAID = history(Random(8))


def inference(one: Said) -> Row:
    base: Row = {"inference_id": one.name, "role": "PRIMARY", "status": "OK", "session_id": "s"}
    base |= {"model_name": "bot", "model_version": "1", "event_time": one.at}
    return {**base, "response_time": one.at if one.name.endswith(("1", "2")) else None}


def answers(one: Said) -> list[Row]:
    return [
        {
            "event_id": f"{one.name}.{kind}.{place}",
            "event_time": one.at + took,
            "level": "INFERENCE",
            "inference_id": one.name,
            "metric": "good",
            "op": op,
            "supersedes": f"{one.name}.{kind}.{place - 1}" if op == "RETRACT" else None,
            "kind": kind,
            "value_bool": says,
            "dwell_ms": 1500 if kind == "ENGAGEMENT" else None,
        }
        for kind in ("THUMBS", "ENGAGEMENT")
        for place, (took, says, op) in enumerate(one.answers)
    ]


@pytest.fixture(scope="module")
def context(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Two batches, compiled; each brings what happened by its watermark."""
    home = tmp_path_factory.mktemp("delay")
    place = Warehouse(str(home))
    context = Context(configured(home, LOOPS), place, "run", lambda: spark_session, lambda _: None)
    before = T0 - 1000 * HOUR
    for number, mark in MARKS.items():
        rows = {
            "inferences": [inference(each) for each in SAID if before < each.at <= mark],
            "feedback": [
                row for each in SAID for row in answers(each) if before < row["event_time"] <= mark
            ],
        }
        for name, listed in rows.items():
            filled = [typed(TYPED[name], row, number, at) for at, row in enumerate(listed)]
            place.append_once(TYPED[name], filled, "test", number)
        proof = dict.fromkeys(PROOFS.schema.names) | {"batch_id": number, "watermark": mark}
        place.append_once(PROOFS, [proof], "test", number)
        compile_.STAGE.run(context, batch(number))
        before = mark
    return context


def batch(number: int) -> Batch:
    return Batch(number, (), T0, "run", "hash", "code")


def found(context: Context, name: str, number: int = 2) -> dict[str, Measurement]:
    told = list(delays(context, LOOPS[name], batch(number)))
    return {each.metric.removeprefix("outcome."): each for each in told}


# --- the oracle: single inferences, exact fractions of a window ----------------------------------


class Single(NamedTuple):
    """How long it was seen, and after how long it was answered by then, in microseconds."""

    seen: int
    took: int | None
    positive: bool


def singles(name: str) -> list[Single]:
    listed = []
    for one in SAID:
        seen = (MARK - GRACE - one.at) // MOMENT
        if one.at > SINCE and seen >= 0:
            answer = counting(one, name)
            listed.append(Single(seen, *(answer or (None, False))))
    return listed


def counting(one: Said, name: str) -> tuple[int, bool] | None:
    """The answer that counts; saying again in batch 2 what was known in batch 1 changes nothing."""
    if name == "never":
        return None
    first, last = (counting_by(one, mark) for mark in MARKS.values())
    if first and last and (first[1] is last[1] or name == "dwell"):
        return first
    return last


def counting_by(one: Said, mark: datetime) -> tuple[int, bool] | None:
    """The last answer within the window that happened by then; none where it takes one back."""
    inside = [each for each in one.answers if each[0] <= WINDOW and one.at + each[0] <= mark]
    if not inside:
        return None
    _, (took, says, op) = max(enumerate(inside), key=lambda item: (item[1][0], item[0]))
    return None if op == "RETRACT" else (took // MOMENT, says)


def parts(name: str) -> list[tuple[int, int | None, bool]]:
    """Seen and took as parts of the window: the one rounded down, the other up."""
    span, listed = WINDOW // MOMENT, []
    for seen, took, positive in singles(name):
        part = min(seen, span) * BINS // span
        after = None if took is None else -(-took * BINS // span)
        by_then = after is not None and after <= part
        listed.append((part, after if by_then else None, positive and by_then))
    return listed


def survival(listed: list[tuple[int, int | None, bool]]) -> list[float]:
    """S at the end of each part, inference by inference."""
    stays, found = 1.0, []
    exits = [part if after is None else after for part, after, _ in listed]
    for part in range(PLACES):
        at_risk = sum(each >= part for each in exits)
        answered = sum(after == part for _, after, _ in listed)
        stays *= 1 - answered / at_risk if at_risk else 1.0
        found.append(stays)
    return found


@pytest.mark.parametrize("name", ["thumbs", "clicks", "dwell"])
def test_figures_are_those_of_single_inferences(context: Context, name: str) -> None:
    told, listed = found(context, name), parts(name)
    over = [each for each in listed if each[0] == BINS]
    recent = [part for part, _, _ in listed if part < BINS]
    assert len(over) > 200 < len(recent)
    assert told["incidence"].n == len(listed)
    assert told["incidence"].value == pytest.approx(1 - survival(listed)[-1], rel=1e-9)
    stays = survival(over)
    known = sum((1 - stays[part]) / (1 - stays[-1]) for part in recent)
    assert told["maturity"].n == len(recent)
    assert told["maturity"].value == pytest.approx(known / len(recent), rel=1e-9)
    assert ("rate_recent" in told) is (name != "dwell")
    if name != "dwell":
        stays = survival([(part, after if yes else None, yes) for part, after, yes in over])
        known = sum((1 - stays[part]) / (1 - stays[-1]) for part in recent)
        positive = sum(yes for part, _, yes in listed if part < BINS)
        assert told["rate_recent"].effective_n == pytest.approx(known, rel=1e-9)
        assert told["rate_recent"].value == pytest.approx(positive / known, rel=1e-9)
    for each in told.values():
        assert each.verdict is None, each
        assert each.ci_low < each.value < each.ci_high  # type: ignore[operator]  # both are there
        assert (each.slice, each.model_version) == ("all", "all")
        assert (each.window_start, each.window_end) == (SINCE, MARK)
        assert each.window == (LOOKBACK if each.metric == "outcome.incidence" else OPEN)


def test_the_first_batch_says_what_was_known_then(context: Context) -> None:
    """Its look-back has what landed by then alone; too little of it is over."""
    told = found(context, "thumbs", 1)
    assert {each.value for each in told.values()} == {None}
    assert "inferences whose window is over, fewer than 30" in str(told["maturity"].reason)
    assert told["incidence"].window_end == MARKS[1]


def test_where_nobody_ever_answers_nothing_says_how_long_it_takes(context: Context) -> None:
    told = found(context, "never")
    assert told["incidence"].value == 0
    assert told["incidence"].ci_high is not None
    assert 0 < told["incidence"].ci_high < 0.02
    assert str(told["maturity"].reason).startswith("0 answers in windows that are over")
    assert str(told["rate_recent"].reason).startswith("0 positives in windows that are over")


def test_counts_are_few_and_exact_to_the_microsecond(spark: SparkSession) -> None:
    """On both sides of the ends of a part, in a window of years."""
    span = timedelta(days=3653)
    rows: list[tuple[datetime, datetime | None, bool | None]] = [(MARK + MOMENT, None, None)]
    wanted = Counter[tuple[str, int]]()
    for part in (0, 1, 499, 999, 1000):
        for shift in (-1, 0, 1):
            took = part * span / BINS + shift * MOMENT
            if not timedelta(0) <= took <= span:
                continue
            rows.append((MARK - 2 * span, MARK - 2 * span + took, True))
            wanted["answered", part + (shift > 0)] += 1
            rows.append((MARK - took, None, None))
            wanted["seen", part - (shift < 0)] += 1
    wanted["seen", BINS] += sum(n for (by, _), n in wanted.items() if by == "answered")
    columns = "response_time timestamp, answered_at timestamp, positive boolean"
    told = counted(spark.createDataFrame(rows, columns), MARK, span).collect()
    assert Counter({(row["by"], row["part"]): row["n"] for row in told}) == wanted
    assert {row["is_open"] for row in told if row["part"] == BINS} == {False}
