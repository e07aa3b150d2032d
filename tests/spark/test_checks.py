"""Each rule finds what breaks it and only that, of many events and of one; valid ones are clean."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from processor.avro.contracts import contract
from processor.avro.framing import CONFLUENT, SchemaRef
from processor.avro.source import Resolved
from processor.checks import CHECKS, check, rules
from processor.stages.typed import typed
from processor.tables import RECORDS

Said = dict[str, Any]

MIXED = 120  # events of each type with several damages
STAMP = datetime(2016, 6, 1, tzinfo=UTC)  # the time of every record
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
TABLE = {record: table for table, record in RECORDS.items()}
HEADER = {"event_id": "e", "event_time": STAMP, "source": "urn:test"}
MODEL = {"model_name": "m", "model_version": "1"}
NAMED = {"inference_id": "i", **MODEL}
BOTH = {"a_id": "a", "b_id": "b"}
TWO = {"a_id": "c", "b_id": "c", "a_inference_id": "i", "b_inference_id": "j"}

VALID: Mapping[str, list[Said]] = {
    "InferenceEvent": [
        {
            **NAMED,
            "task": "CLASSIFICATION",
            "role": "PRIMARY",
            "status": "OK",
            "pred_label": "yes",
            "class_probs": {"yes": 0.75, "no": 0.25},
            "features_num": {"x": 1.0},
        },
        {**NAMED, "task": "REGRESSION", "role": "CANARY", "status": "OK", "pred_value": 0.0},
        {**NAMED, "task": "REGRESSION", "role": "CANARY", "status": "TIMEOUT", "output_tokens": 0},
        {
            **NAMED,
            "task": "RANKING",
            "role": "SHADOW",
            "status": "ERROR",
            "propensity": 1.0,
            "candidates": [{"candidate_id": "a", "rank": 0}, {"candidate_id": "b", "rank": 1}],
            "shown_candidate_id": "b",
            "response_time": STAMP,
        },
    ],
    "FeedbackEvent": [
        {"level": "INFERENCE", "inference_id": "i", "metric": "m", **value}
        for value in (
            {"kind": "LABEL", "value_str": "yes"},
            {"kind": "RATING", "value_num": 5.0, "scale_min": 1.0, "scale_max": 5.0},
            {"kind": "RATING", "value_num": 1.0, "scale_min": 1.0},
            {"kind": "THUMBS", "value_bool": False},
            {"kind": "REWARD", "value_num": 0.0, "solicit_prob": 1.0, "rater_confidence": 0.0},
            {"kind": "PREFERENCE", "preference": {**BOTH, "outcome": "TIE"}},
            {"kind": "PREFERENCE", "preference": {**TWO, "outcome": "A"}},
            {"kind": "REWARD", "value_num": -1.0, "scale_min": -1.0, "discount": 1.0},
            {"kind": "RANKING", "ranking": ["a"], "position": 0, "dwell_ms": 0, "reaction_ms": 0},
            {"kind": "CORRECTION", "content_json": "{}"},
            {"kind": "ENGAGEMENT"},
            {"kind": "FLAG", "op": "RETRACT", "supersedes": "other"},
            {"kind": "LABEL", "op": "RETRACT", "supersedes": "other"},
        )
    ]
    + [
        {"kind": "COMMENT", "value_str": "good", "metric": "m", **target}
        for target in (
            {"level": "CANDIDATE", "inference_id": "i", "candidate_id": "c"},
            {"level": "STEP", "episode_id": "e"},
            {"level": "SESSION", "session_id": "s"},
            {"level": "SESSION", "subject_key": "u"},
            {"level": "EPISODE", "episode_id": "e"},
        )
    ],
    "SessionContext": [{"session_id": "s", "seq": 0, "started_at": STAMP, "ended_at": STAMP}],
    "FeatureMetadata": [
        {
            "feature_set": "f",
            "version": "1",
            "valid_from": STAMP,
            "features": [{"name": "a", "min": 0.0, "max": 0.0}, {"name": "b", "min": 3.0}],
        }
    ],
    "GroundTruth": [
        {
            "inference_id": "i",
            "metric": "m",
            "value_bool": False,
            "known_time": STAMP,
            "label_source": "registry",
            "maturity": "FINAL",
        },
        {
            "entity_key": "e",
            "metric": "m",
            "known_time": STAMP,
            "label_source": "registry",
            "maturity": "PROVISIONAL",
            "op": "RETRACT",
            "supersedes": "other",
        },
    ],
    "ModelLifecycle": [{**MODEL, "action": "DEPLOYED", "traffic_share": 1.0}],
    "ErasureRequest": [{"request_id": "r", "scope": "SUBJECT", "target_key": "k"}],
}
"""Events at the edge of what is allowed; each damage below is done to the first of its record."""

OF_ALL: Mapping[str, list[Said]] = {
    "empty_event_id": [{"event_id": ""}],
    "empty_source": [{"source": ""}],
    "clock_skew": [{"event_time": STAMP + DAY + TICK}],
    "implausible_time": [{"event_time": datetime(2000, 1, 1, tzinfo=UTC) - TICK}],
}
OF_REVISIONS: Mapping[str, list[Said]] = {
    "unknown_op": [{"op": "UNKNOWN"}],
    "missing_supersedes": [{"op": "UPDATE"}, {"op": "RETRACT", "supersedes": ""}],
    "supersedes_itself": [{"op": "UPDATE", "supersedes": "e"}],
}
RATING = {"kind": "RATING", "value_str": None}

DAMAGE: Mapping[str, Mapping[str, list[Said]]] = {
    "InferenceEvent": {
        "empty_inference_id": [{"inference_id": ""}],
        "empty_model_name": [{"model_name": ""}],
        "empty_model_version": [{"model_version": ""}],
        "unknown_task": [{"task": "UNKNOWN"}],
        "unknown_role": [{"role": "UNKNOWN"}],
        "unknown_status": [{"status": "UNKNOWN"}],
        "response_before_event": [{"response_time": STAMP - TICK}],
        "missing_pred_label": [{"pred_label": None, "class_probs": {}}],
        "missing_pred_value": [{"task": "REGRESSION"}],
        "pred_value_not_finite": [{"pred_value": math.nan}, {"pred_value": -math.inf}],
        "class_probs_range": [{"class_probs": {"yes": 1.5, "no": -0.5}}],
        "class_probs_sum": [{"class_probs": {"yes": 0.5, "no": 0.4}}],
        "label_not_in_class_probs": [{"pred_label": "perhaps"}],
        "propensity_range": [{"propensity": value} for value in (0.0, 1.1, -1.0, math.nan)],
        "log_keep_prob_range": [{"log_keep_prob": value} for value in (0.0, 2.0, math.nan)],
        "feature_not_finite": [
            {"features_num": {"x": math.nan}},
            {"features_num": {"x": 1.0, "y": -math.inf}},
            {"features_vec": {"v": [0.0, math.inf]}},
        ],
        "duplicate_candidate": [{"candidates": [{"candidate_id": "a", "rank": n} for n in (0, 1)]}],
        "negative_rank": [{"candidates": [{"candidate_id": "a", "rank": -1}]}],
        "candidate_propensity_range": [
            {"candidates": [{"candidate_id": "a", "rank": 0, "propensity": value}]}
            for value in (-0.1, 1.1, math.nan)
        ],
        "negative_step_index": [{"step_index": -1}],
        "negative_input_tokens": [{"input_tokens": -1}],
        "negative_output_tokens": [{"output_tokens": -1}],
        "shown_not_a_candidate": [
            {"candidates": [{"candidate_id": "a", "rank": 0}], "shown_candidate_id": "b"}
        ],
    },
    "FeedbackEvent": {
        "unknown_level": [{"level": "UNKNOWN"}],
        "missing_inference_id": [{"inference_id": None}, {"inference_id": ""}],
        "missing_candidate_id": [{"level": "CANDIDATE"}],
        "missing_session_id": [
            {"level": "SESSION"},
            {"level": "SESSION", "session_id": "", "subject_key": ""},
        ],
        "missing_episode_id": [{"level": "EPISODE"}],
        "missing_step": [{"level": "STEP", "inference_id": None}],
        "unknown_kind": [{"kind": "UNKNOWN"}],
        "empty_metric": [{"metric": ""}],
        "missing_value": [
            {"kind": "THUMBS"},
            {"kind": "REWARD"},
            {"kind": "PREFERENCE"},
            {"kind": "RANKING"},
            {"kind": "CORRECTION", "value_str": ""},
            {"kind": "DEMONSTRATION", "value_str": None},
            {"kind": "COMMENT", "value_str": None, "content_json": ""},
        ],
        "not_one_value": [{"value_num": 1.0}, {"value_str": None}],
        "value_num_not_finite": [
            {**RATING, "value_num": value, "scale_min": 1.0, "scale_max": 5.0}
            for value in (math.nan, math.inf)
        ],
        "empty_scale": [
            {**RATING, "value_num": 1.0, "scale_min": low, "scale_max": high}
            for low, high in ((1.0, 1.0), (math.nan, 1.0), (1.0, math.nan), (1.0, math.inf))
        ],
        "value_off_scale": [
            {**RATING, "value_num": value, "scale_min": 1.0, "scale_max": 5.0}
            for value in (0.9, 5.1)
        ]
        + [{"kind": "REWARD", "value_str": None, "value_num": 1.1, "scale_max": 1.0}],
        "unknown_preference": [
            {"kind": "PREFERENCE", "preference": {**BOTH, "outcome": "UNKNOWN"}}
        ],
        "preference_of_one": [
            {"kind": "PREFERENCE", "preference": {**TWO, "outcome": "A", "b_inference_id": value}}
            for value in ("i", None)
        ],
        "duplicate_ranking": [{"kind": "RANKING", "ranking": ["a", "b", "a"]}],
        "discount_range": [{"discount": 1.1}, {"discount": math.nan}],
        **OF_REVISIONS,
        "solicit_prob_range": [{"solicit_prob": 0.0}, {"solicit_prob": math.nan}],
        "rater_confidence_range": [{"rater_confidence": 1.01}, {"rater_confidence": -0.01}],
        "negative_dwell_ms": [{"dwell_ms": -1}],
        "negative_reaction_ms": [{"reaction_ms": -1}],
        "negative_position": [{"position": -1}],
    },
    "SessionContext": {
        "empty_session_id": [{"session_id": ""}],
        "negative_seq": [{"seq": -1}],
        "ended_before_started": [{"ended_at": STAMP - TICK}],
    },
    "FeatureMetadata": {
        "empty_feature_set": [{"feature_set": ""}],
        "empty_version": [{"version": ""}],
        "no_features": [{"features": []}],
        "duplicate_feature": [{"features": [{"name": "a"}, {"name": "a"}]}],
        "feature_range": [{"features": [{"name": "a", "min": 1.0, "max": 0.5}]}],
    },
    "GroundTruth": {
        "missing_target": [{"inference_id": None}, {"inference_id": "", "entity_key": ""}],
        "empty_metric": [{"metric": ""}],
        "not_one_value": [{"value_num": 1.0}, {"value_bool": None}],
        "value_num_not_finite": [{"value_bool": None, "value_num": math.nan}],
        "known_before_event": [{"known_time": STAMP - TICK}],
        "unknown_maturity": [{"maturity": "UNKNOWN"}],
        **OF_REVISIONS,
    },
    "ModelLifecycle": {
        "empty_model_name": [{"model_name": ""}],
        "empty_model_version": [{"model_version": ""}],
        "unknown_action": [{"action": "UNKNOWN"}],
        "traffic_share_range": [{"traffic_share": value} for value in (-0.1, 1.1, math.nan)],
    },
    "ErasureRequest": {
        "empty_request_id": [{"request_id": ""}],
        "unknown_scope": [{"scope": "UNKNOWN"}],
        "empty_target_key": [{"target_key": ""}],
    },
}
"""What breaks each rule of a record, and no other rule but those of `ALSO`."""

ALSO: Mapping[str, frozenset[str]] = {"clock_skew": frozenset({"known_before_event"})}
"""Rules that the same damage breaks too: an event in the future was known before it happened."""


def message(record: str, said: Said) -> bytes:
    out = io.BytesIO()
    schema = fastavro.parse_schema(contract(record).schema)
    fastavro.schemaless_writer(out, schema, HEADER | said)
    return b"\x00\x00\x00\x00\x01" + out.getvalue()


def found(spark: SparkSession, record: str, events: list[Said]) -> list[list[dict[str, str]]]:
    """The defects of each event, after it went through Avro as on a topic."""
    rows = [
        {
            "batch_id": 1,
            "topic": "t",
            "partition": 0,
            "offset": n,
            "timestamp": STAMP,
            "value": message(record, said),
            "headers": [],
        }
        for n, said in enumerate(events)
    ]
    header = pa.struct({"key": pa.string(), "value": pa.binary()})
    schema = pa.schema(
        {
            "batch_id": pa.int64(),
            "topic": pa.string(),
            "partition": pa.int32(),
            "offset": pa.int64(),
            "timestamp": pa.timestamp("us", "UTC"),
            "value": pa.binary(),
            "headers": pa.list_(header),
        }
    )
    log = spark.createDataFrame(pa.Table.from_pylist(rows, schema))
    known = {SchemaRef(CONFLUENT, "1"): Resolved(json.dumps(contract(record).schema))}
    told = typed(log, TABLE[record], known).select("origin.offset", "defects").toArrow()
    return [row["defects"] for row in sorted(told.to_pylist(), key=lambda row: row["offset"])]


@pytest.mark.parametrize("record", [entry.name for entry in CHECKS])
def test_each_rule_finds_what_breaks_it_and_nothing_else_does(
    spark: SparkSession, record: str
) -> None:
    """And a producer who asks of one event is told what the batch will say, to the letter."""
    planted = {**OF_ALL, **DAMAGE[record]}
    assert set(planted) == {rule.code for rule in rules(record)}, "every rule has its damage"
    cases = [(code, change) for code, changes in planted.items() for change in changes]
    valid = VALID[record]
    events = [*valid, *(valid[0] | change for _, change in cases)]
    battered = [mixed(record, [change for _, change in cases], Random(n)) for n in range(MIXED)]
    defects = found(spark, record, [*events, *battered])
    for said, told in zip([*events, *battered], defects, strict=True):
        mine = [vars(each) for each in check(record, HEADER | said, STAMP)]
        assert list(map(letters, mine)) == list(map(letters, told)), said
    assert all(not each for each in defects[: len(valid)]), defects[: len(valid)]
    for (code, change), told in zip(cases, defects[len(valid) : len(events)], strict=True):
        codes = {defect["code"] for defect in told}
        assert code in codes, change
        assert codes - {code} <= ALSO.get(code, frozenset()), change


def letters(defect: Mapping[str, str]) -> tuple[str, list[str]]:
    """The code and the letters of the detail: a map has no order."""
    return defect["code"], sorted(defect["detail"])


def mixed(record: str, changes: list[Said], rng: Random) -> Said:
    """A valid event, damaged a few times over."""
    event = rng.choice(VALID[record])
    for change in rng.sample(changes, rng.randrange(1, 4)):
        event = event | change
    return event


def test_a_detail_names_the_value_and_stays_short(spark: SparkSession) -> None:
    probs = {f"class {n:03}": -1.0 for n in range(100)}
    first = VALID["InferenceEvent"][0]
    skewed, long = found(
        spark,
        "InferenceEvent",
        [first | {"event_time": STAMP + 2 * DAY}, first | {"class_probs": probs}],
    )
    assert "2016-06-03 00:00:00" in skewed[0]["detail"]
    assert "2016-06-01 00:00:00" in skewed[0]["detail"]
    assert max(len(defect["detail"]) for defect in long) == 500
