"""The census as a world: one person is one session and one inference, and is answered later.

Everything follows from the table and a seed; no clock is read. Times are microseconds since 1970.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processor.errors import ConfigError
from processor.simulate import answers
from processor.simulate.ids import Times, pseudonym, uuid7s

BASELINE_YEAR = 2015
YEARS = (2016, 2017, 2018)
DEFAULT_SEED = 4

MODEL = "employment-classifier"
BASELINE_VERSION = "1"
NUMERIC = ("AGEP",)
CODED = (
    *("SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL"),
    *("ANC", "NATIVITY", "DEAR", "DEYE", "DREM"),
)
SEX = {"1": "Male", "2": "Female"}
RACE = {  # the survey's RAC1P, shortened
    "1": "White",
    "2": "Black",
    "3": "American Indian",
    "4": "Alaska Native",
    "5": "American Indian or Alaska Native, tribe not stated",
    "6": "Asian",
    "7": "Pacific Islander",
    "8": "Other",
    "9": "Two or more",
}

SECOND = 1_000_000  # microseconds
SESSION_LEAD = 30 * SECOND  # from a session's start to its inference
MEDIAN_LATENCY = SECOND // 4
LATENCY_SIGMA = 0.4  # standard deviation of the latency's logarithm
NO_TRAINING_SHARE = 0.01  # persons who do not allow training on their data


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970, exactly."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * SECOND + moment.microsecond


def new_year(year: int) -> int:
    """The first microsecond of a year, UTC."""
    return micros(datetime(year, 1, 1, tzinfo=UTC))


def reference(census: pa.Table) -> pa.Table:
    """The baseline's own history: the labelled predictions of `BASELINE_YEAR`.

    Columns: the features by name, `pred_label`, `pred_score` (the probability of "true"),
    `label`, `sex`, `race`.
    """
    rows = _of_year(census, BASELINE_YEAR)
    return pa.table(
        {
            **_features(rows),
            "pred_label": _booleans(rows["prediction"]),
            "pred_score": rows["predicted_probability"],
            "label": _booleans(rows["employed"]),
            **_protected(rows),
        }
    )


def truth(census: pa.Table, year: int, seed: int, persons: int | None = None) -> pa.Table:
    """What happens in one year, and what will be said of it and when: one row an inference.

    `persons` draws that many of the year's persons instead of all. The columns are the features
    and slices of `reference`, the ids of every event, and the times of `Answers`.
    """
    rng = np.random.default_rng([seed, year])
    rows = _drawn(_of_year(census, year), persons, rng)
    started_at = _spread(year, rows.num_rows)
    at = started_at + SESSION_LEAD
    latency = rng.lognormal(np.log(MEDIAN_LATENCY), LATENCY_SIGMA, len(at)).astype(np.int64)
    responded_at = at + latency
    drawn = answers.draw(responded_at, rng)
    return pa.table(
        {
            **_features(rows),
            "pred_label": _booleans(rows["prediction"]),
            "pred_score": rows["predicted_probability"],
            "employed": pc.equal(rows["employed"], 1),
            **_protected(rows),
            "subject_key": [pseudonym(person) for person in rows["id"].to_pylist()],
            "training_allowed": rng.random(len(at)) >= NO_TRAINING_SHARE,
            "started_at": started_at,
            "event_time": at,
            "response_time": responded_at,
            "answer": drawn.kind,
            "happened_at": drawn.happened_at,
            "known_at": drawn.known_at,
            "resent_at": pa.array(drawn.resent_at, mask=~drawn.resent),
            "corrected_at": pa.array(drawn.corrected_at, mask=~drawn.corrected),
            **_ids(started_at, at, drawn, rng),
        }
    )


def _ids(
    started_at: Times, at: Times, drawn: answers.Answers, rng: np.random.Generator
) -> dict[str, list[str]]:
    return {
        "session_id": uuid7s(started_at, rng),
        "session_event_id": uuid7s(started_at, rng),
        "request_id": uuid7s(at, rng),
        "inference_id": uuid7s(at, rng),
        "inference_event_id": uuid7s(at, rng),
        "answer_event_id": uuid7s(drawn.known_at, rng),
        "correction_event_id": uuid7s(drawn.corrected_at, rng),
    }


def _of_year(census: pa.Table, year: int) -> pa.Table:
    rows = census.filter(pc.equal(census["year"], year))
    if not rows.num_rows:
        raise ConfigError(
            f"the census table has no row of {year}", remedy="use data/employment_ma.parquet"
        )
    return rows


def _drawn(rows: pa.Table, persons: int | None, rng: np.random.Generator) -> pa.Table:
    if persons is None or persons >= rows.num_rows:
        return rows
    return rows.take(np.sort(rng.choice(rows.num_rows, persons, replace=False)))


def _spread(year: int, n: int) -> Times:
    """`n` times, evenly from the first to the last day of the year."""
    start, end = new_year(year), new_year(year + 1)
    return start + np.arange(n, dtype=np.int64) * ((end - start) // n)


def _features(rows: pa.Table) -> dict[str, Any]:
    numeric = {name: rows[name].cast("double") for name in NUMERIC}
    return numeric | {name: rows[name].cast("string") for name in CODED}


def _protected(rows: pa.Table) -> dict[str, Any]:
    return {
        "sex": [SEX[code] for code in rows["SEX"].to_pylist()],
        "race": [RACE[code] for code in rows["RAC1P"].to_pylist()],
    }


def _booleans(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(column, 1), "true", "false")
