"""Lineage events are OpenLineage's, by its own JSON schemas, and say what the tables say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from referencing import Registry, Resource

from processor.report.lineage import OWN, Site, events, text
from processor.resources import resource

Tables = dict[str, list[dict[str, Any]]]
SITE = Site("s3://lake/warehouse", "one:9092, two:9092", {"bfp.inferences": "inferences"})
EXPECTED, LANDED = 206_114, 206_114 - 40 - 7
FORMATS = FormatChecker()
URI = re.compile(r"(https://openlineage\.io/|urn:[a-z][a-z-]{1,31}:)[\w.:/#$+-]+")
THEIRS = [
    json.loads(path.read_text()) for path in (Path(__file__).parent / "openlineage").glob("*.json")
]
SCHEMAS = {
    each["$id"]: each
    for each in (*THEIRS, json.loads(resource("schemas", "lineage", "1.json").read_text()))
}
REGISTRY: Registry[Any] = Registry().with_resources(
    (name, Resource.from_contents(each)) for name, each in SCHEMAS.items()
)


@FORMATS.checks("uri")
def is_uri(value: object) -> bool:
    return isinstance(value, str) and URI.fullmatch(value) is not None


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    return value is None or datetime.fromisoformat(str(value)).tzinfo is not None


def judge(told: object, url: str) -> None:
    """Raises where `told` is not what the schema that `url` names asks for."""
    Draft202012Validator({"$ref": url}, registry=REGISTRY, format_checker=FORMATS).validate(told)


def facets(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every facet of an event, with its key."""
    for holder in (event["run"], event["job"], *event.get("inputs", []), *event.get("outputs", [])):
        for name in ("facets", "inputFacets", "outputFacets"):
            yield from holder.get(name, {}).items()


def key_of(url: str) -> set[str]:
    """What the schema of one of OpenLineage's facets calls it in its holder."""
    return set(SCHEMAS[url.partition("#")[0]].get("properties", {}))


@pytest.fixture
def told(tables: Tables) -> list[dict[str, Any]]:
    return events(tables, 3, SITE, finished=True)


def test_each_event_and_each_of_its_facets_is_what_its_schema_asks_for(
    told: list[dict[str, Any]],
) -> None:
    kinds = set()
    for event in json.loads(f"[{','.join(text(told).splitlines())}]"):
        judge(event, event["schemaURL"])
        for key, facet in facets(event):
            judge(facet, facet["_schemaURL"])
            kinds.add(facet["_schemaURL"])
            named = key_of(facet["_schemaURL"])
            assert key in named or (facet["_schemaURL"].startswith(OWN) and key.startswith("bfp_"))
    used = {kind.partition("#")[0] for kind in kinds} | {told[0]["schemaURL"].partition("#")[0]}
    assert used == set(SCHEMAS)


def test_the_judge_refuses_what_is_none_of_it(told: list[dict[str, Any]]) -> None:
    event = json.loads(text(told).splitlines()[1])
    for spoiled in (
        {**event, "eventType": "DONE"},
        {**event, "eventTime": "2017-01-04T00:00:00"},
        {**event, "run": {**event["run"], "runId": "run-3"}},
        {**event, "producer": "me"},
        {name: said for name, said in event.items() if name != "job"},
    ):
        with pytest.raises(ValidationError):
            judge(spoiled, event["schemaURL"])


def test_the_run_is_the_batch(told: list[dict[str, Any]]) -> None:
    start, end = told
    assert (start["eventType"], start["eventTime"]) == ("START", "2017-01-04T00:00:00Z")
    assert (end["eventType"], end["eventTime"]) == ("COMPLETE", "2017-01-04T00:01:12.500000Z")
    assert start["run"]["runId"] == end["run"]["runId"]
    assert {end["job"]["namespace"], end["job"]["name"]} == {
        "s3://lake/warehouse",
        "batch-feedback-processor",
    }
    batch = {k: v for k, v in end["run"]["facets"]["bfp_batch"].items() if not k.startswith("_")}
    assert batch == {
        "batch": 3,
        "plannedBy": "run-3",
        "plannedAt": "2017-01-04T00:00:00Z",
        "cutTime": None,
        "configHash": "c0ffee" * 8,
        "codeVersion": "0.1.0+abc",
    }
    assert end["producer"] == "urn:batch-feedback-processor:0.1.0+abc"


def test_a_run_id_is_the_same_again_and_no_others(tables: Tables) -> None:
    def run_id(batch: int, site: Site = SITE) -> str:
        (named,) = {event["run"]["runId"] for event in events(tables, batch, site, finished=True)}
        return str(UUID(named))

    elsewhere = Site("s3://lake/other", SITE.bootstrap, SITE.tables)
    ids = [run_id(2), run_id(3), run_id(3, elsewhere)]
    assert len(set(ids)) == 3
    for rows in tables.values():
        rows.reverse()
    assert ids == [run_id(2), run_id(3), run_id(3, elsewhere)]


def test_a_batch_that_is_not_finished_is_running(tables: Tables) -> None:
    tables["proofs"] = [row for row in tables["proofs"] if row["batch_id"] < 3]
    tables["runs"], tables["datasets"] = [], []
    _, told = events(tables, 3, SITE, finished=False)
    judge(told, told["schemaURL"])
    assert (told["eventType"], told["eventTime"]) == ("RUNNING", "2017-01-04T00:00:00Z")
    facets = told["inputs"][0]["inputFacets"]
    judge(facets["bfp_offsets"], facets["bfp_offsets"]["_schemaURL"])
    assert facets["inputStatistics"]["rowCount"] == 0
    assert facets["bfp_offsets"]["ranges"][0]["landed"] is None


def test_an_input_is_a_topic_with_its_offsets_and_what_is_wrong_with_it(
    told: list[dict[str, Any]],
) -> None:
    (topic,) = told[1]["inputs"]
    assert (topic["namespace"], topic["name"]) == ("kafka://one:9092", "bfp.inferences")
    facets = topic["inputFacets"]
    assert facets["inputStatistics"]["rowCount"] == LANDED
    assert facets["bfp_offsets"]["topicId"] == "topic-id-7"
    first, empty = facets["bfp_offsets"]["ranges"]
    assert first == {
        "partition": 0,
        "start": 2 * EXPECTED,
        "end": 3 * EXPECTED,
        "landed": LANDED,
        "control": 7,
        "aborted": 40,
        "compacted": 0,
        "lost": 0,
        "digest": "3099887766",
    }
    assert (empty["partition"], empty["start"], empty["end"]) == (1, 2 * EXPECTED, 2 * EXPECTED)
    checks = {each["assertion"]: each for each in facets["dataQualityAssertions"]["assertions"]}
    assert [
        (name, each["success"], each["expected"], each["actual"]) for name, each in checks.items()
    ] == [
        ("complete", True, str(EXPECTED), str(EXPECTED)),
        ("valid", False, str(LANDED), str(LANDED - 17)),
        ("not_decoded", False, "0", "14"),
        ("tombstone", False, "0", "3"),
    ]
    assert checks["tombstone"]["params"] == {
        "topic": "bfp.inferences",
        "partition": 0,
        "offset": 412_345,
    }


def test_a_lost_record_is_an_assertion_that_failed(tables: Tables) -> None:
    for row in tables["proofs"]:
        if (row["batch_id"], row["partition"]) == (3, 0):
            row["landed"], row["lost"] = row["landed"] - 5, 5
    (topic,) = events(tables, 3, SITE, finished=True)[1]["inputs"]
    complete = topic["inputFacets"]["dataQualityAssertions"]["assertions"][0]
    assert (complete["success"], complete["actual"]) == (False, str(EXPECTED - 5))


def test_an_output_is_a_version_with_what_it_was_judged_by(told: list[dict[str, Any]]) -> None:
    (made,) = told[1]["outputs"]
    assert (made["namespace"], made["name"]) == ("s3://lake", "dataset_files/employment-train")
    assert made["facets"]["version"]["datasetVersion"] == "v000003"
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 48_765
    assert made["facets"]["schema"]["fields"] == [
        {"name": "inference_id", "type": "string"},
        {"name": "num.AGEP", "type": "double"},
        {"name": "tags", "type": "map<string,string>"},
    ]
    assert made["facets"]["dataQualityAssertions"]["assertions"] == [
        {
            "assertion": "effective_rows",
            "success": True,
            "name": "dataset.employment-train.effective_rows",
            "severity": "error",
            "actual": "900.0",
        }
    ]
    assert made["facets"]["bfp_version"]["contentSha256"] == "ab12" * 16
    assert made["facets"]["bfp_version"]["configHash"] == "c0ffee"


def test_a_version_that_was_not_made_is_a_test_that_failed(told: list[dict[str, Any]]) -> None:
    assert told[1]["run"]["facets"]["test"]["tests"] == [
        {
            "name": "dataset.employment-rare.effective_rows",
            "status": "fail",
            "severity": "error",
            "actual": "41.5",
            "description": "41.5 effective rows of 80",
        }
    ]


def test_files_on_a_disk_have_the_namespace_that_openlineage_gives_them(tables: Tables) -> None:
    for row in tables["datasets"]:
        row["uri"] = f"/data/dataset_files/employment-train/{row['version']}"
    here = Site("/data", SITE.bootstrap, SITE.tables)
    told = events(tables, 3, here, finished=True)[1]
    assert told["job"]["namespace"] == "file:///data"
    (made,) = told["outputs"]
    assert (made["namespace"], made["name"]) == ("file", "/data/dataset_files/employment-train")
