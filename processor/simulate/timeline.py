"""What is said about a world, message by message, in the order in which it is said."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processor.simulate import answers
from processor.simulate import census as world
from processor.simulate.census import BASELINE_VERSION, CODED, MODEL, NUMERIC
from processor.simulate.ids import Times, uuid7s
from processor.simulate.message import SERVICE, Message
from processor.simulate.opening import opening
from processor.simulate.poison import POISON

METRIC = "employed"
SURVEY = "urn:bfp:demo:follow-up-survey"

POISON_INFERENCES = 2  # of each kind, a year
POISON_ANSWERS = ("truncated_avro", "plain_json")  # a year


Row = Mapping[str, Any]


class Schedule(NamedTuple):
    """When what is said of whom, in order of time: places in `KINDS`, rows of the world."""

    timestamp: Times
    kind: Times
    row: Times

    def part(self, start: int, end: int) -> Schedule:
        """The entries with a timestamp in `[start, end)`."""
        first, last = np.searchsorted(self.timestamp, (start, end)).tolist()
        return Schedule(*(column[first:last] for column in self))


def session(row: Row) -> Message:
    """The session in which the person was met; the only place that knows sex and race."""
    at = row["started_at"]
    body = {
        **_header(row, row["session_event_id"], at, SERVICE),
        "session_id": row["session_id"],
        "seq": 0,
        "started_at": at,
        "country": "US",
        "channel": "survey",
        "protected_attributes": {"sex": row["sex"], "race": row["race"]},
    }
    return Message("sessions", "SessionContext", row["session_id"], at, body)


def inference(row: Row) -> Message:
    """What the baseline said of the person."""
    at, score = row["event_time"], row["pred_score"]
    body = {
        **_header(row, row["inference_event_id"], at, SERVICE),
        "inference_id": row["inference_id"],
        "session_id": row["session_id"],
        "request_id": row["request_id"],
        "task": "CLASSIFICATION",
        "model_name": MODEL,
        "model_version": BASELINE_VERSION,
        "role": "PRIMARY",
        "response_time": row["response_time"],
        "status": "OK",
        "features_num": {name: row[name] for name in NUMERIC},
        "features_str": {name: row[name] for name in CODED},
        "pred_label": row["pred_label"],
        "class_probs": {"true": score, "false": 1.0 - score},
    }
    return Message("inferences", "InferenceEvent", row["inference_id"], at, body)


def answer(row: Row) -> Message:
    """What is first reported of the person; wrong, where it is corrected later."""
    said = row["employed"] == (row["corrected_at"] is None)
    return _ground_truth(row, row["answer_event_id"], said=said, at=row["known_at"])


def resent_answer(row: Row) -> Message:
    """The same report once more, under the same id."""
    return answer(row)._replace(timestamp=row["resent_at"])


def correction(row: Row) -> Message:
    """What really happened, in place of the wrong report."""
    first = row["answer_event_id"]
    made = _ground_truth(
        row, row["correction_event_id"], said=row["employed"], at=row["corrected_at"]
    )
    return made._replace(body={**made.body, "op": "UPDATE", "supersedes": first})


def _ground_truth(row: Row, event_id: str, *, said: bool, at: int) -> Message:
    body = {
        **_header(row, event_id, row["happened_at"], SURVEY),
        "inference_id": row["inference_id"],
        "metric": METRIC,
        "value_bool": said,
        "known_time": at,
        "label_source": "survey",
    }
    return Message("ground_truth", "GroundTruth", row["inference_id"], at, body)


def _header(row: Row, event_id: str, at: int, source: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "event_time": at,
        "source": source,
        "subject_key": row["subject_key"],
        "training_allowed": row["training_allowed"],
    }


KINDS: Mapping[str, Callable[[Row], Message]] = {
    "session": session,
    "inference": inference,
    "answer": answer,
    "resent_answer": resent_answer,
    "correction": correction,
}


@dataclass(frozen=True)
class Timeline:
    """Everything said about a world, ever; messages are made only when they are asked for."""

    truth: pa.Table
    schedule: Schedule
    besides: tuple[Message, ...]  # few, in order of time

    @classmethod
    def of(cls, census: pa.Table, years: Iterable[int], seed: int, persons: int | None) -> Timeline:
        """The years of the census, one after the other; answers cross from one into the next."""
        each = {year: world.truth(census, year, seed, persons) for year in years}
        besides = [*opening(world.reference(census), min(each), seed)]
        for year, truth in each.items():
            besides += _poison(truth, np.random.default_rng([seed, year, len(POISON)]))
        whole = pa.concat_tables(each.values())
        return cls(whole, _schedule(whole), tuple(sorted(besides, key=_when)))

    def count(self, start: int, end: int) -> int:
        """How many messages carry a timestamp in `[start, end)`."""
        return len(self.schedule.part(start, end).row) + len(self._besides(start, end))

    def between(self, start: int, end: int) -> Iterator[Message]:
        """The messages with a timestamp in `[start, end)`, in its order."""
        return heapq.merge(self._besides(start, end), self._said(start, end), key=_when)

    def _besides(self, start: int, end: int) -> list[Message]:
        return [each for each in self.besides if start <= each.timestamp < end]

    def _said(self, start: int, end: int) -> Iterator[Message]:
        part = self.schedule.part(start, end)
        needed, place = np.unique(part.row, return_inverse=True)
        about = self.truth.take(needed).to_pylist()
        makers = list(KINDS.values())
        for kind, row in zip(part.kind.tolist(), place.tolist(), strict=True):
            yield makers[kind](about[row])


def _when(message: Message) -> int:
    return message.timestamp


def _schedule(truth: pa.Table) -> Schedule:
    answered = pc.not_equal(truth["answer"], answers.NEVER)
    first_said = pc.if_else(answered, truth["known_at"], None)
    times = {
        "session": truth["started_at"],
        "inference": truth["event_time"],
        "answer": first_said,
        "resent_answer": truth["resent_at"],
        "correction": truth["corrected_at"],
    }
    parts = []
    for place, kind in enumerate(KINDS):
        column = times[kind].combine_chunks()
        row = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        at = column.drop_null().to_numpy()
        parts.append(Schedule(at, np.full(len(at), place), row))
    timestamp, kinds, rows = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.lexsort((rows, kinds, timestamp))
    return Schedule(timestamp[order], kinds[order], rows[order])


def _poison(truth: pa.Table, rng: np.random.Generator) -> Iterator[Message]:
    """Broken messages at the times of some of the year's events, each with an id of its own."""
    wanted = [(inference, kind) for kind in POISON for _ in range(POISON_INFERENCES)]
    wanted += [(answer, kind) for kind in POISON_ANSWERS]
    answered = np.flatnonzero(
        pc.not_equal(truth["answer"], answers.NEVER).to_numpy(zero_copy_only=False)
    )
    rows = truth.take(rng.choice(answered, len(wanted), replace=False)).to_pylist()
    ids = uuid7s(np.array([row["event_time"] for row in rows]), rng)
    for (make, kind), row, event_id in zip(wanted, rows, ids, strict=True):
        message = make(row)
        yield message._replace(body={**message.body, "event_id": event_id}, poison=kind)
