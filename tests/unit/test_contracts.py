"""The contracts hold what producers were promised, and Spark's types lose none of it."""

from __future__ import annotations

from typing import Any

import fastavro
import pytest
from pyspark.sql import types as T

from processor.avro.contracts import contract, records, shipped, struct_type
from processor.errors import ConfigError

HEADER = {
    "event_id": "string",
    "event_time": {"type": "long", "logicalType": "timestamp-micros"},
    "source": "string",
    "tenant": "string",
    "subject_key": ["null", "string"],
    "training_allowed": "boolean",
    "tags": {"type": "map", "values": "string"},
}
FIELDS = {
    "InferenceEvent": """inference_id session_id episode_id request_id step_index task model_name
        model_version deployment_id experiment_id variant role response_time status features_num
        features_str features_vec input_json messages output_text pred_label pred_value class_probs
        candidates shown_candidate_id uncertainty propensity log_keep_prob params input_tokens
        output_tokens cost""",
    "FeedbackEvent": """level inference_id session_id episode_id candidate_id item_id kind metric
        value_num value_bool value_str scale_min scale_max content_json preference ranking position
        dwell_ms discount is_terminal is_truncated op supersedes rater_kind rater_id rater_version
        rater_confidence query_id solicit_prob client_hash reaction_ms""",
    "SessionContext": """session_id seq started_at ended_at locale country device app_version
        channel attributes protected_attributes""",
    "FeatureMetadata": "feature_set version features model_name valid_from owner",
    "GroundTruth": """inference_id entity_key metric value_num value_bool value_str known_time
        maturity label_source op supersedes""",
    "ModelLifecycle": """model_name model_version action deployment_id from_version trigger_id
        dataset dataset_version training_run_id artifact_uri predictions_uri approver code_version
        role traffic_share""",
    "ErasureRequest": "request_id scope target_key due_by basis",
    "RetrainingTrigger": """trigger_id dedupe_key loop rule rule_hash reason state action model_name
        baseline_version evidence batch_id window_start window_end consecutive cooldown_until
        dataset dataset_version dataset_uri explanation run_id params""",
    "DatasetPublished": """dataset version parent_version kind formats uri manifest_uri
        content_sha256 schema_json row_count splits sources batch_id dropped quality code_version
        config_hash seed run_id""",
    "LabelRequest": "query_id inference_id loop policy score inclusion_prob priority expires_at",
}
DEFAULTS = {
    ("InferenceEvent", "log_keep_prob"): 1.0,
    ("FeedbackEvent", "op"): "CREATE",
    ("GroundTruth", "op"): "CREATE",
    ("GroundTruth", "maturity"): "FINAL",
    **{(name, "tenant"): "default" for name in FIELDS},
    **{(name, "training_allowed"): True for name in FIELDS},
}


def test_there_are_contracts_for_all_events_and_for_nothing_else() -> None:
    assert set(records()) == set(FIELDS)
    with pytest.raises(ConfigError, match="no contract 'GroundTruths'") as unknown:
        contract("GroundTruths")
    assert unknown.value.remedy == "did you mean 'GroundTruth'?"


@pytest.mark.parametrize("name", FIELDS)
def test_a_contract_has_its_name_its_header_and_its_fields(name: str) -> None:
    schema = contract(name).schema
    fields = schema["fields"]
    assert contract(name).full_name == f"io.bfp.events.v1.{name}"
    parsed = fastavro.parse_schema(schema)
    assert isinstance(parsed, dict)
    assert parsed["name"] == f"io.bfp.events.v1.{name}"
    assert {f["name"]: f["type"] for f in fields[: len(HEADER)]} == HEADER
    assert [f["name"] for f in fields] == [*HEADER, *FIELDS[name].split()]
    assert list(shipped(name)) == list(range(1, len(shipped(name)) + 1))


def nodes(schema: Any) -> list[Any]:  # noqa: ANN401  # any schema
    """Every part of a schema."""
    if isinstance(schema, list):
        return [schema, *(node for branch in schema for node in nodes(branch))]
    if not isinstance(schema, dict):
        return [schema]
    inner = [f["type"] for f in schema.get("fields", ())]
    inner += [schema[key] for key in ("items", "values") if key in schema]
    inner += [schema["type"]] if isinstance(schema["type"], dict | list) else []
    return [schema, *(node for each in inner for node in nodes(each))]


@pytest.mark.parametrize("name", FIELDS)
def test_house_rules_hold_everywhere_in_a_contract(name: str) -> None:
    found = nodes(contract(name).schema)
    unions = [node for node in found if isinstance(node, list)]
    enums = [node for node in found if isinstance(node, dict) and node["type"] == "enum"]
    times = [node for node in found if isinstance(node, dict) and "logicalType" in node]
    assert all(len(union) == 2 and union[0] == "null" for union in unions)
    assert all(enum["symbols"][0] == enum["default"] == "UNKNOWN" for enum in enums)
    assert {node["logicalType"] for node in times} == {"timestamp-micros"}
    for node in found:
        for field in node.get("fields", ()) if isinstance(node, dict) else ():
            if isinstance(field["type"], list):
                assert field["default"] is None
            elif isinstance(field["type"], dict) and field["type"]["type"] in ("array", "map"):
                assert field["default"] in ([], {})
            elif isinstance(field["type"], dict) and field["type"]["type"] == "enum":
                assert field["default"] == DEFAULTS.get((name, field["name"]), "UNKNOWN")


def test_defaults_are_as_promised() -> None:
    for (name, field), value in DEFAULTS.items():
        assert {f["name"]: f.get("default") for f in contract(name).schema["fields"]}[
            field
        ] == value


SCALARS = {
    "string": T.StringType(),
    "boolean": T.BooleanType(),
    "int": T.IntegerType(),
    "long": T.LongType(),
    "float": T.FloatType(),
    "double": T.DoubleType(),
}


def agrees(kind: T.DataType, schema: Any, enums: set[str]) -> bool:  # noqa: ANN401  # any schema
    """Whether Spark's type holds all that the schema says."""
    if isinstance(schema, list):
        return agrees(kind, schema[1], enums)
    if isinstance(schema, str):
        return kind == SCALARS.get(schema) or (schema in enums and kind == T.StringType())
    if "logicalType" in schema:
        return kind == T.TimestampType()
    if schema["type"] == "enum":
        enums.add(schema["name"])
        return kind == T.StringType()
    if schema["type"] == "array":
        return isinstance(kind, T.ArrayType) and agrees(kind.elementType, schema["items"], enums)
    if schema["type"] == "map":
        return isinstance(kind, T.MapType) and agrees(kind.valueType, schema["values"], enums)
    assert isinstance(kind, T.StructType)
    names = [f["name"] for f in schema["fields"]]
    parts = zip(kind.fields, schema["fields"], strict=True)
    return kind.names == names and all(agrees(a.dataType, b["type"], enums) for a, b in parts)


@pytest.mark.parametrize("name", FIELDS)
def test_the_spark_type_has_every_field_at_every_depth(name: str) -> None:
    schema = contract(name).schema
    kind = struct_type(schema)
    assert agrees(kind, schema, set())
    assert all(field.nullable for field in kind.fields)


def test_a_record_used_twice_keeps_its_fields() -> None:
    inner = {"type": "record", "name": "In", "fields": [{"name": "x", "type": "int"}]}
    fields = [{"name": "a", "type": inner}, {"name": "b", "type": ["null", "In"]}]
    kind = struct_type({"type": "record", "name": "Out", "fields": fields})
    assert kind.simpleString() == "struct<a:struct<x:int>,b:struct<x:int>>"
    with pytest.raises(TypeError, match="is no record"):
        struct_type({"type": "enum", "name": "E", "symbols": ["A"]})
