"""What became of one event: where it landed, whom it is about, and which rows it is in. No JVM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from processor.config import Config
from processor.feedback import Question, attribute, questions, served
from processor.feedback.eventwise import judged, timing
from processor.feedback.rule import CREATE
from processor.loops import LoopConfig
from processor.stages.expired import MEANING
from processor.stages.landing import Place, landings
from processor.stages.lookup import (
    Heard,
    arrived,
    heard,
    outputs_in,
    place,
    said,
    seen,
    watermarks,
)
from processor.tables import COORDINATES, DATASET_ROWS, EXPIRED, OUTCOMES, TYPED
from processor.terms.plain import Plain
from processor.warehouse import Warehouse

Row = dict[str, Any]
_LEDGER = (
    *("loop", "metric", "inference_id", "state", "timing", "value", "reward", "credit"),
    "answered_at",
)
_EVENT = ("event_id", "event_time", "op", "supersedes")
_ARRIVED = ("batch_id", "attempt", "defects", "origin")
_PLACED = ("dataset", "version", "inference_id", "label", "split", "inclusion_prob", "weight")


def explain_event(config: Config, warehouse: Warehouse, text: str) -> Row:
    """What the tables tell of the event at `TOPIC/PARTITION/OFFSET`, as of now.

    Raises:
        ConfigError: no batch has read such a topic, partition or offset; with the nearest name.
    """
    asked = Place.parse(text)
    table = config.topics.by_topic().get(asked.topic)
    return {
        **asked._asdict(),
        "table": table,
        "landings": [
            _followed(config, warehouse, table, landing)
            for landing in landings(config, warehouse, asked)
        ],
    }


def _followed(config: Config, warehouse: Warehouse, table: str | None, landing: Row) -> Row:
    """A landing, with all that followed from its event."""
    row = landing.pop("row")
    valid = row is not None and not row["defects"]
    about = list(_about(config, warehouse, table, row)) if valid else []
    ids = sorted({one["inference_id"] for one in about if one["inference_id"]})
    return {
        **landing,
        "event": _told(row) if valid else None,
        "repeats": _repeats(warehouse, table, row) if valid else None,
        "revises": _revises(warehouse, table, row) if valid else None,
        "about": about,
        "ledger": [each for name in ids for each in ledger(warehouse, name, row)],
        "versions": [each for name in ids for each in _placed(warehouse, name, row)],
    }


def _told(row: Row) -> Row:
    """What is told of an event; `op` and `supersedes` of an answer."""
    return {name: row[name] for name in _EVENT if name in row}


def _repeats(warehouse: Warehouse, table: str | None, row: Row) -> str | None:
    """Where the same event arrived first, if not here: an event counts once."""
    first = _first(warehouse, table, row["event_id"])
    return elsewhere(first, row) if first else None


def _revises(warehouse: Warehouse, table: str | None, row: Row) -> Row | None:
    """Which event an answer takes back or replaces, and where that one arrived, if it did."""
    if (row.get("op") or CREATE) == CREATE:
        return None
    first = _first(warehouse, table, row["supersedes"])
    return {"event_id": row["supersedes"], "place": first and place_of(first["origin"])}


def _first(warehouse: Warehouse, table: str | None, event_id: str) -> Row | None:
    """The event of that id, as it first arrived without a defect."""
    if table is None:
        return None
    where = [("event_id", "=", event_id)]
    rows = warehouse.rows(TYPED[table], columns=_ARRIVED, where=where).to_pylist()
    return next((each for each in arrived(rows) if not each["defects"]), None)


def _about(config: Config, warehouse: Warehouse, table: str | None, row: Row) -> Iterator[Row]:
    """What the event is to each loop: an output of its model, or an answer to a question."""
    if table == "inferences" and row["model_name"] not in _models(config):
        yield _nobodys(row)
    for loop in config.loop.values():
        if table == "inferences" and row["model_name"] == loop.model:
            yield _output(loop, row)
        if table == "sessions":
            yield from _sessions(warehouse, loop, row)
        for question in questions(loop):
            if table == question.signal.source:
                yield from _answers(warehouse, loop, question, row)


def _models(config: Config) -> set[str]:
    return {loop.model for loop in config.loop.values()}


def _nobodys(row: Row) -> Row:
    what = f"no loop asks about the model {row['model_name']}"
    return {"loop": None, "metric": None, "inference_id": row["inference_id"], "what": what}


def _output(loop: LoopConfig, row: Row) -> Row:
    counted = served(row, questions(loop)[0]) is not None
    what = "an output that somebody saw" if counted else "an output that nobody saw"
    return {
        "loop": loop.loop,
        "metric": None,
        "inference_id": row["inference_id"],
        "what": f"{what}: role {row['role']}, status {row['status']}",
    }


def _sessions(warehouse: Warehouse, loop: LoopConfig, row: Row) -> Iterator[Row]:
    """The outputs of the model in the session whose state the event is."""
    for name in outputs_in(warehouse, loop.model, row["session_id"]):
        what = "a state of its session"
        yield {"loop": loop.loop, "metric": None, "inference_id": name, "what": what}


def _answers(warehouse: Warehouse, loop: LoopConfig, question: Question, row: Row) -> Iterator[Row]:
    answers = said(row, question, watermarks(warehouse))
    named = {"loop": loop.loop, "metric": question.rule.metric}
    if not answers:
        yield {**named, "inference_id": None, "what": _no_answer(question, row)}
    for target in sorted({answer.target for answer in answers}):
        reached = list(shares(warehouse, question, target, row))
        yield from ({**named, **each} for each in reached)
        if not reached:
            what = f"an answer that finds no output: {question.level.key} {target}"
            what += _given_up(warehouse, named, target, row)
            yield {**named, "inference_id": None, "what": what}


def _no_answer(question: Question, row: Row) -> str:
    """Why an event is no answer to a question."""
    key = question.level.event_key
    if not question.blank(Plain(row)):
        return "no answer to this"
    if key is not None and not row[key]:
        return f"it has no {key}, by which this finds outputs"
    return "it says nothing of what this asks for"


def _given_up(warehouse: Warehouse, named: Row, target: str, row: Row) -> str:
    """Whether the answer still waits for an output, and since when not."""
    where = [(name, "=", value) for name, value in (*named.items(), ("about", target))]
    rows = warehouse.rows(EXPIRED, where=where).to_pylist()
    mine = [each for each in rows if _is_of({"origins": [each["origin"]]}, row)]
    return "".join(f"; batch {each['batch_id']}: {MEANING[each['reason']]}" for each in mine[:1])


def shares(warehouse: Warehouse, question: Question, key: str, row: Row) -> Iterator[Row]:
    """Which outputs with this key have a part of the answer that a typed row is."""
    outputs, answers = seen(warehouse, question, key), heard(warehouse, question, key)
    for one in outputs:
        for each, credit in credited(answers, outputs, question, one.inference_id):
            if each.row["origin"] == row["origin"]:
                yield {
                    "inference_id": one.inference_id,
                    "what": f"an answer that is {timing(each.answer, one, question.rule)}",
                    "value": each.answer.value,
                    "reward": judged(each.answer, question.rule)[1],
                    "op": each.answer.op,
                    "credit": credit,
                }


def credited(
    answers: list[Heard], outputs: Iterable[Any], question: Question, inference_id: str
) -> Iterator[tuple[Heard, float]]:
    """The answers that an output has a part of, each with its credit, in order of arrival."""
    given = attribute((each.answer for each in answers), outputs, question)
    left = {each.event_id: each.credit for each in given.get(inference_id, ())}
    return ((each, left[each.answer.event_id]) for each in answers if each.answer.event_id in left)


def ledger(warehouse: Warehouse, inference_id: str, row: Row | None = None) -> list[Row]:
    """The rows of the ledger of one inference, by batch; with `row`, those made of its event."""
    where = [("inference_id", "=", inference_id)]
    rows = warehouse.rows(OUTCOMES, where=where).to_pylist()
    mine = (each for each in rows if row is None or _is_of(each, row))
    ordered = sorted(mine, key=lambda each: (each["batch_id"], each["metric"], each["timing"]))
    return [
        {
            "batch": each["batch_id"],
            **{name: each[name] for name in _LEDGER},
            "origins": [place_of(origin) for origin in each["origins"]],
        }
        for each in ordered
    ]


def _placed(warehouse: Warehouse, inference_id: str, row: Row) -> list[Row]:
    """The rows of dataset versions that were made of an event."""
    rows = warehouse.rows(DATASET_ROWS, where=[("inference_id", "=", inference_id)]).to_pylist()
    mine = [each for each in rows if _is_of(each, row)]
    told = [{name: each[name] for name in _PLACED} for each in mine]
    return sorted(told, key=lambda each: (each["dataset"], each["version"]))


def _is_of(made: Row, row: Row) -> bool:
    names = ("batch_id", *COORDINATES)
    wanted = {name: row["origin"][name] for name in names}
    return any({name: origin[name] for name in names} == wanted for origin in made["origins"])


def elsewhere(first: Row, row: Row) -> str | None:
    """The place of the first of several rows of one event; None for that one itself."""
    return None if place(first) == place(row) else place_of(first["origin"])


def place_of(origin: Row) -> str:
    """TOPIC/PARTITION/OFFSET."""
    return "/".join(str(origin[name]) for name in COORDINATES)
