"""Why an inference is, or is not, a row of a dataset version.

What can be told from single rows of the tables is told without a JVM. A candidate's decision is
computed again, with the functions that `compile` decides with.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

from processor.config import Config
from processor.datasets.reasons import reason
from processor.errors import ConfigError
from processor.feedback import Answer, Question, Served, question_of, served
from processor.feedback.eventwise import heeded, judged, once, timing
from processor.feedback.rule import LATE, ON_TIME
from processor.feedback.standing import deciding, telling
from processor.stages import catalog, lookup
from processor.stages.base import Context
from processor.stages.choices import FULL, Parent, parent_of
from processor.stages.decision import decided
from processor.stages.explain_event import credited, elsewhere, ledger, place_of
from processor.stages.explain_session import states
from processor.stages.landing import attempt
from processor.stages.lookup import Heard
from processor.stages.recipes import Source
from processor.warehouse import Warehouse

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """An inference, beside the version that it is or is not in; `mark` is the batch's watermark.

    `versions` are the batches that made one of the dataset, by its name, in order.
    """

    name: str
    inference_id: str
    version: Row
    source: Source
    parent: Parent
    versions: Mapping[str, int]
    mark: datetime | None

    @property
    def batch_id(self) -> int:
        """The batch that made the version."""
        found: int = self.version["batch_id"]
        return found

    @property
    def since(self) -> int:
        """The last batch of which the version holds nothing."""
        return 0 if self.source.recipe.config.mode == FULL else self.parent.batch_id

    @property
    def uses_late(self) -> bool:
        """Whether an answer that came late may be what is known."""
        return self.source.recipe.config.uses_late

    @property
    def question(self) -> Question:
        """What the dataset's outcomes answer."""
        return question_of(self.source.loop, self.source.loop.outcome)


def explain_row(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    name: str,
    inference_id: str,
) -> Row:
    """Each step that put an inference into the version `DATASET/VERSION`, or kept it out.

    By the recipe that the version's manifest keeps, as of its batch.

    Raises:
        ConfigError: there is no such version, or no such inference; with the nearest name.
    """
    warehouse = Warehouse(config.warehouse)
    asked = _asked(warehouse, name, inference_id)
    events = lookup.inference(warehouse, inference_id)
    if not events:
        remedy = lookup.nearest_inference(warehouse, inference_id)
        raise ConfigError(f"no inference {inference_id!r}", remedy=remedy)
    output = _output(events, asked)
    one = served(output, asked.question) if output else None
    metric = asked.question.rule.metric
    said = [row for row in ledger(warehouse, inference_id) if row["metric"] == metric]
    why, decision = _not_asked(events, one, said, asked), None
    if why is None:
        context = Context(config, warehouse, f"explain-{uuid.uuid4()}", start_spark, say)
        decision = decided(context, asked.source, asked.parent, asked.batch_id, inference_id)
        why = reason(decision)
    placed = catalog.placed(warehouse, asked.version, inference_id=inference_id).to_pylist()
    return {
        "version": name,
        "batch": asked.batch_id,
        "parent_version": asked.parent.version,
        "inference_id": inference_id,
        "is_in": bool(placed),
        "why": why,
        "events": [attempt(event) for event in events],
        "served": vars(one) if one else None,
        "window_closes": _closes(one, asked) if one else None,
        "watermark": asked.mark,
        "answers": _answers(warehouse, one, asked, _by_then(said, asked)) if one else [],
        "session": _session(warehouse, output, asked) if output else [],
        "ledger": [row for row in said if row["batch"] <= asked.batch_id],
        "ledger_since": [row for row in said if row["batch"] > asked.batch_id],
        "decision": decision,
        "row": next(iter(placed), None),
    }


def _asked(warehouse: Warehouse, name: str, inference_id: str) -> Asked:
    row = catalog.version(warehouse, name)
    return Asked(
        name,
        inference_id,
        row,
        catalog.source_of(warehouse, row),
        parent_of(warehouse, row["batch_id"], row["dataset"]),
        {each["version"]: each["batch_id"] for each in catalog.listed(warehouse, row["dataset"])},
        lookup.watermarks(warehouse).get(row["batch_id"]),
    )


def _output(events: list[Row], asked: Asked) -> Row | None:
    """The output as the version's batch knew it: the first of its events that is valid."""
    in_time = (event for event in events if event["batch_id"] <= asked.batch_id)
    valid = (event for event in in_time if not event["defects"])
    return next((event for event in valid if served(event, asked.question)), None)


def _session(warehouse: Warehouse, output: Row, asked: Asked) -> list[Row]:
    return states(warehouse, output, asked.source.recipe.config.enrich, asked.batch_id)


def _closes(one: Served, asked: Asked) -> datetime:
    return one.response_time + asked.question.rule.patience


def _not_asked(events: list[Row], one: Served | None, said: list[Row], asked: Asked) -> str | None:
    """Why the inference was no candidate; None if it was one."""
    if one is None:
        return _not_seen(events, asked)
    known = [row["batch"] for row in said if row["timing"] in telling(late=asked.uses_late)]
    by_then = _by_then(said, asked)
    if by_then is None:
        return _not_known(one, known, asked)
    if by_then["batch"] <= asked.since:
        made = (name for name, batch in asked.versions.items() if batch >= by_then["batch"])
        return (
            f"nothing became known of it since the parent version {asked.parent.version}: "
            f"its last outcome is of batch {by_then['batch']}, and {next(made)} was made with it"
        )
    return None


def _by_then(said: list[Row], asked: Asked) -> Mapping[str, Any] | None:
    """The row of the ledger that says what the version knew of the inference."""
    told = (row for row in said if row["batch"] <= asked.batch_id)
    return deciding(told, late=asked.uses_late)


def _not_seen(events: list[Row], asked: Asked) -> str:
    """Why an inference was no output of the loop's model that somebody saw."""
    event, model = events[0], asked.source.loop.model
    if event["batch_id"] > asked.batch_id:
        return f"it landed in batch {event['batch_id']}, after the version's"
    if event["defects"]:
        return f"its event has defects: {', '.join(each['code'] for each in event['defects'])}"
    if event["model_name"] != model:
        return f"it is of the model {event['model_name']}, and the dataset is of {model}"
    return f"nobody saw its output: role {event['role']}, status {event['status']}"


def _not_known(one: Served, known: list[int], asked: Asked) -> str:
    later = f"; it became known in batch {known[0]}" if known else ""
    closes, mark = _closes(one, asked), asked.mark
    if mark is None or closes > mark:
        return f"too early: its window was open until {closes}{later}"
    return f"no answer on time: its window was closed by {closes}{later}"


def _answers(
    warehouse: Warehouse, one: Served, asked: Asked, by_then: Mapping[str, Any] | None
) -> list[Row]:
    """Every answer to the dataset's question that the inference has a part of."""
    question, key = asked.question, one.key
    if key is None:
        return []
    outputs = lookup.seen(warehouse, question, key, asked.batch_id)
    answers = lookup.heard(warehouse, question, key, asked.batch_id)
    mine = list(credited(answers, outputs, question, one.inference_id))
    timed = [(each, credit, timing(each.answer, one, question.rule)) for each, credit in mine]
    counts = {each.event_id for each in heeded(_weighed(timed, by_then), question.rule)}
    names = ("event_id", "event_time", "op", "supersedes", "value")
    first: dict[str, Row] = {}
    for each in answers:
        first.setdefault(each.answer.event_id, each.row)
    return [
        {
            **attempt(each.row),
            **{name: getattr(each.answer, name) for name in names},
            "reward": judged(each.answer, question.rule)[1],
            "timing": when,
            "credit": credit,
            "counts": each.answer.event_id in counts and repeated is None,
            "repeats": repeated,
        }
        for each, credit, when in timed
        for repeated in [elsewhere(first[each.answer.event_id], each.row)]
    ]


def _weighed(
    timed: list[tuple[Heard, float, str]], by_then: Mapping[str, Any] | None
) -> list[Answer]:
    """The answers that what is known follows from: those on time, or late ones in their place."""
    if by_then is None or by_then["timing"] != LATE:
        return once(each.answer for each, _, when in timed if when == ON_TIME)
    return once(
        each.answer for each, _, _ in timed if place_of(each.row["origin"]) in by_then["origins"]
    )
