"""What a batch's answers and features come to in `measurements`, counted by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from processor.batches import Batch
from processor.loops import LoopConfig
from processor.stages import measure
from processor.stages.base import Context
from processor.tables import MEASUREMENTS, PROOFS, TYPED
from processor.warehouse import Warehouse
from tests.spark.planted import T0, Row, configured, served, typed

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
LOOP = LoopConfig.model_validate(
    {
        "loop": "l",
        "model": "bot",
        "outcome": {"metric": "good", "signal": "thumbs", "window": "1d"},
        "outcomes": [{"metric": "paid", "signal": "ground_truth", "window": "1d"}],
        "arrivals": {"near": "8s", "burst_events": 4, "burst_factor": 2},
    }
)
Rows = Mapping[str, Sequence[Row]]


# --- answers --------------------------------------------------------------------------------------


def thumb(name: str, about: str, second: int, **more: Any) -> Row:  # noqa: ANN401  # any field
    """A rater is known by the first letter of what it says."""
    said = {"event_id": name, "event_time": T0 + second * SECOND, "source": "app", "op": "CREATE"}
    said |= {"kind": "THUMBS", "level": "INFERENCE", "metric": "good", "value_bool": True}
    return {**said, "rater_id": name[0], "inference_id": about, **more}


def truth(name: str, second: int, **about: str) -> Row:
    said = {"event_id": name, "event_time": T0 + second * SECOND, "source": "till"}
    return {**said, "op": "CREATE", "metric": "paid", "value_bool": True, **about}


def session(name: str) -> Row:
    return {"level": "SESSION", "inference_id": None, "session_id": name}


FEEDBACK = {
    1: [thumb("a1", "i1", 600), thumb("z0", "i0", 1200)],
    2: [
        thumb("a1", "i1", 600),  # said in batch 1
        thumb("a2", "i1", 607),  # nearly said in batch 1
        thumb("a3", "i1", 630),
        thumb("b1", "i1", 604),
        thumb("b2", "i1", 605, op="UPDATE", supersedes="b1"),
        thumb("b3", "i2", 700),
        thumb("b3", "i2", 700),  # said in this batch
        thumb("b4", "nobody", 800),  # about nothing
        thumb("b5", "", 850, **session("s")),
        thumb("b6", "", 860, **session("nowhere")),  # about nothing
        thumb("c1", "nobody", -30 * 86400),  # too old to tell
        thumb("c2", "i2", 900, value_bool=None),  # blank
        *(thumb(f"z{n}", f"i{n}", 1200 + 6 * n) for n in range(1, 5)),  # with z0, a burst
        thumb("z5", "i5", 1300),
        thumb("z6", "i6", 1400),
        *(thumb(f"d{n}", f"i{n}", 1800 + 12 * n) for n in range(10)),  # as many as ever
        thumb("e1", "nobody", 600, metric="of another loop"),
        thumb("e2", "nobody", 600, defects=[{"code": "c", "detail": "d"}]),
    ],
}
TRUTHS = {
    1: [],
    2: [
        truth("t1", 600, inference_id="i1"),
        truth("t1", 600, inference_id="i1"),  # said in this batch
        truth("t2", 607, inference_id="i1"),  # nearly said in this batch
        truth("t3", 700, inference_id="nobody"),  # about nothing
        truth("t4", 800, entity_key="r"),  # of a request: blank, since the loop asks of inferences
        truth("t5", 900, inference_id="i2"),
    ],
}


def test_what_is_amiss_among_the_answers_of_a_batch_is_written_as_counted_by_hand(
    context: Context,
) -> None:
    """Of 28 events 26 are no duplicates; one of those revises another, and one is too old."""
    assert measured(context, 2, "_rate") == {
        ("feedback.duplicate_rate", "all", None): (2, 28),
        ("feedback.near_duplicate_rate", "all", None): (1, 25),
        ("feedback.orphan_rate", "all", None): (2, 25),
        ("feedback.burst_rate", "all", None): (4, 26),
        ("feedback.blank_rate", "all", None): (1, 24),
        ("ground_truth.duplicate_rate", "all", None): (1, 6),
        ("ground_truth.near_duplicate_rate", "all", None): (1, 5),
        ("ground_truth.orphan_rate", "all", None): (1, 5),
        ("ground_truth.burst_rate", "all", None): (0, 5),
        ("ground_truth.blank_rate", "all", None): (1, 5),
    }
    assert measured(context, 1, "_rate") == {
        (f"feedback.{kind}_rate", "all", None): (0, 2)
        for kind in ("duplicate", "near_duplicate", "orphan", "burst", "blank")
    }


# --- features -------------------------------------------------------------------------------------


def output(name: str, version: str, age: float | None, **more: Any) -> Row:  # noqa: ANN401
    told = {"features_num": [] if age is None else [("age", age)], "model_version": version}
    return served(name, **{"features_str": [], "features_vec": [], **told, **more})


def region(name: str) -> Row:
    return {"features_str": [("region", name)]}


OUTPUTS = {
    1: [output(f"i{n}", "1", 200.0, session_id="s", request_id="r") for n in range(10)],
    2: [
        output("low", "1", -1.0, **region("n")),
        output("edge", "1", 100.0, **region("x")),
        output("within", "1", 50.0),
        output("without", "1", None),
        output("high", "2", 101.0),
        output("other edge", "2", 0.0),
        output("next day", "2", 50.0, event_time=T0 + DAY),
        output("undefined yet", "2", 999.0, event_time=T0 - SECOND),
        output("shadow", "2", 999.0, role="SHADOW"),
        output("failed", "2", 999.0, status="ERROR"),
        output("of another", "2", 999.0, model_name="another"),
        output("amiss", "2", 999.0, defects=[{"code": "c", "detail": "d"}]),
    ],
}


def defined(name: str, since: timedelta, *features: Row, **more: Any) -> Row:  # noqa: ANN401
    said = {"event_id": name, "event_time": T0, "feature_set": "f", "version": name}
    return {**said, "valid_from": T0 + since, "features": features, **more}


AGE = {"name": "age", "semantic": "NUMERIC", "nullable": False, "min": 0.0, "max": 100.0}
REGION = {"name": "region", "semantic": "CATEGORICAL", "nullable": True, "allowed_values": ["n"]}
NARROW = {**AGE, "nullable": True, "max": 10.0}
DEFINITIONS = {
    1: [
        defined("first", timedelta(0), AGE, REGION),
        defined("of another", timedelta(0), NARROW, model_name="another"),
        defined("amiss", timedelta(0), NARROW, defects=[{"code": "c", "detail": "d"}]),
    ],
    2: [defined("next", DAY, NARROW, REGION)],
}


def test_features_that_are_not_as_defined_are_written_as_counted_by_hand(
    context: Context,
) -> None:
    """On the next day 50 is too much, and none is missing; what batch 1 brought is of batch 1."""
    assert measured(context, 1, "features.") == {
        ("features.out_of_range", "1", "age"): (10, 10),
        ("features.missing", "1", "age"): (0, 10),
    }
    assert measured(context, 2, "features.") == {
        ("features.out_of_range", "1", "age"): (1, 3),
        ("features.missing", "1", "age"): (1, 4),
        ("features.not_allowed", "1", "region"): (1, 2),
        ("features.out_of_range", "2", "age"): (2, 3),
        ("features.missing", "2", "age"): (0, 2),
    }


# --- both -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def context(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Two batches, each measured when it is there."""
    home = tmp_path_factory.mktemp("measured")
    place = Warehouse(str(home / "warehouse"))
    config = configured(home, {"l": LOOP})
    context = Context(config, place, "run", lambda: spark_session, lambda _: None)
    for number in (1, 2):
        fill(
            place,
            number,
            {
                "inferences": OUTPUTS[number],
                "feedback": FEEDBACK[number],
                "ground_truth": TRUTHS[number],
                "feature_sets": DEFINITIONS[number],
            },
        )
        measure.STAGE.run(context, Batch(number, (), T0, "run", "hash", "code"))
    return context


def fill(place: Warehouse, batch: int, rows: Rows) -> None:
    for name, listed in rows.items():
        filled = [typed(TYPED[name], row, batch, offset) for offset, row in enumerate(listed)]
        place.append_once(TYPED[name], filled, "test", batch)
    mark = {"batch_id": batch, "watermark": T0 + timedelta(hours=batch)}
    place.append_once(PROOFS, [dict.fromkeys(PROOFS.schema.names) | mark], "test", batch)


def measured(context: Context, batch: int, part: str) -> dict[Any, tuple[float, int]]:
    """How many, of how many, by metric, model version and feature; each in its interval."""
    rows = context.warehouse.rows(MEASUREMENTS, where=[("batch_id", "=", batch)]).to_pylist()
    mine = [row for row in rows if part in row["metric"]]
    for row in mine:
        assert (row["loop"], row["model_name"], row["slice"]) == ("l", "bot", "all")
        assert row["window"] == "batch"
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
    told = {(r["metric"], r["model_version"], r["feature"]): r for r in mine}
    assert len(told) == len(mine)
    return {key: (round(r["value"] * r["n"], 9), r["n"]) for key, r in told.items()}
