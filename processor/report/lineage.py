"""A batch as a run of OpenLineage: what it read of which topic, what it made of that. Pure.

The form is https://openlineage.io/spec/2-0-2; facets that it does not have are in
`schemas/lineage/1.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from pyspark.sql import types as T

from processor.measurements import DATASET, INSUFFICIENT, REFUSED
from processor.report import account
from processor.report.rows import Row, Rows, ordered, plain, total, where

JOB = "batch-feedback-processor"
SPEC = "https://openlineage.io/spec"
EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
OWN = f"urn:{JOB}:lineage:1"
"""The `$id` of the schema of this project's facets."""

_VERSIONS = {
    "DataQualityAssertionsDatasetFacet": "1-1-0",
    "DatasetVersionDatasetFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "SchemaDatasetFacet": "1-2-0",
    "TestRunFacet": "1-0-1",
}
_NAMESPACE = UUID("0e0b4ac5-6f5c-5c0e-a4be-3f0f3d6f3a10")
_NO_VERSION = (INSUFFICIENT, REFUSED)

Json = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """Where a batch ran: URI or path of its warehouse, bootstrap servers, typed table by topic."""

    warehouse: str
    bootstrap: str
    tables: Mapping[str, str]


def events(tables: Mapping[str, Rows], batch_id: int, site: Site, *, finished: bool) -> list[Json]:
    """START of the batch, and COMPLETE; RUNNING where it is not `finished`.

    `tables` are those of the report's document. Equal rows give equal events, with the same run
    id: an event that is sent again says nothing new.
    """
    planned = ordered(where(tables["batches"], batch_id=batch_id), "topic", "partition")
    head = planned[0]
    facet = _Facets(f"urn:{JOB}:{head['code_version']}")
    job = {
        "namespace": _location(site.warehouse),
        "name": JOB,
        "facets": {
            "jobType": facet("JobTypeJobFacet", processingType="BATCH", integration="BFP"),
        },
    }
    run_id = uuid5(_NAMESPACE, f"{job['namespace']}|{head['run_id']}|{batch_id}")
    run_facets = {"bfp_batch": _batch(head, facet)}
    told = [row for row in _judged(tables, batch_id) if row["verdict"] in _NO_VERSION]
    if told:
        tests = [{"name": row["metric"], "status": "fail", **_said(row)} for row in told]
        run_facets["test"] = facet("TestRunFacet", tests=tests)
    run = {"runId": str(run_id), "facets": run_facets}
    start = _event("START", head["planned_at"], facet, run=run, job=job)
    rest = _event(
        "COMPLETE" if finished else "RUNNING",
        _last(tables["runs"], head, batch_id),
        facet,
        run=run,
        job=job,
        inputs=[_input(topic, tables, batch_id, site, facet) for topic in _topics(planned)],
        outputs=[
            _output(row, tables, facet)
            for row in ordered(where(tables["datasets"], batch_id=batch_id), "loop", "dataset")
        ],
    )
    return [start, rest]


def text(told: Sequence[Mapping[str, Any]]) -> str:
    """Events as JSON lines: each line is what a lineage backend takes."""
    return "".join(f"{json.dumps(one, allow_nan=False, ensure_ascii=False)}\n" for one in told)


class _Facets:
    """Makes facets that name who says so, and the schema they follow."""

    def __init__(self, producer: str) -> None:
        self.producer = producer

    def __call__(self, kind: str, /, **said: Any) -> Json:  # noqa: ANN401  # any JSON
        version = _VERSIONS.get(kind)
        schema = f"{SPEC}/facets/{version}/{kind}.json" if version else OWN
        return {"_producer": self.producer, "_schemaURL": f"{schema}#/$defs/{kind}", **said}


def _event(kind: str, at: object, facet: _Facets, **said: object) -> Json:
    head = {"eventType": kind, "eventTime": plain(at)}
    return {**head, "producer": facet.producer, "schemaURL": EVENT, **said}


def _last(runs: Rows, head: Row, batch_id: int) -> object:
    """When the last stage before the report ended, else when the batch was planned."""
    ended = [r["ended_at"] for r in where(runs, batch_id=batch_id) if r["stage"] != "report"]
    return max((at for at in ended if at is not None), default=head["planned_at"])


def _batch(head: Row, facet: _Facets) -> Json:
    return facet(
        "BfpBatchRunFacet",
        batch=head["batch_id"],
        plannedBy=head["run_id"],
        plannedAt=plain(head["planned_at"]),
        cutTime=plain(head["cut_time"]),
        configHash=head["config_hash"],
        codeVersion=head["code_version"],
    )


def _topics(planned: Rows) -> list[str]:
    return sorted({row["topic"] for row in planned})


def _input(
    topic: str, tables: Mapping[str, Rows], batch_id: int, site: Site, facet: _Facets
) -> Json:
    ranges = where(account.ranges(tables, batch_id), topic=topic)
    checks = [_accounted(ranges), *_valid(site.tables.get(topic), tables, batch_id)]
    landed = total((row for row in ranges if row["landed"] is not None), "landed")
    return {
        "namespace": f"kafka://{site.bootstrap.split(',')[0].strip().rpartition('://')[2]}",
        "name": topic,
        "inputFacets": {
            "inputStatistics": facet("InputStatisticsInputDatasetFacet", rowCount=landed),
            "dataQualityAssertions": facet("DataQualityAssertionsDatasetFacet", assertions=checks),
            "bfp_offsets": facet(
                "BfpOffsetsInputDatasetFacet",
                topicId=ranges[0]["topic_id"],
                ranges=[_range(row) for row in ranges],
            ),
        },
    }


def _range(row: Row) -> Json:
    named = {name: row[name] for name in (*account.CAUSES, "digest")}
    first, end = row["start_offset"], row["end_offset"]
    return {"partition": row["partition"], "start": first, "end": end, **named}


def _accounted(ranges: Rows) -> Json:
    """Whether each offset is explained, and none is lost."""
    expected = total(ranges, "expected")
    kept = [name for name in account.CAUSES if name != "lost"]
    found = sum(row[name] or 0 for row in ranges for name in kept)
    return _assertion("complete", found == expected, "error", expected, found)


def _valid(table: str | None, tables: Mapping[str, Rows], batch_id: int) -> Iterator[Json]:
    """Whether all records of a topic are valid; then each code of a defect, with an example."""
    for row in where(account.typed(tables, batch_id), table=table):
        yield _assertion("valid", not row["quarantined"], "warn", row["rows"], row["valid"])
    for row in where(account.defects(tables, batch_id), table=table):
        yield {
            **_assertion(row["code"], success=False, severity="warn", expected=0, actual=row["n"]),
            "description": row["detail"],
            "params": row["example"],
        }


def _assertion(what: str, success: bool, severity: str, expected: int, actual: int) -> Json:  # noqa: FBT001  # a fact, not a switch
    said = {"expected": str(expected), "actual": str(actual)}
    return {"assertion": what, "success": success, "severity": severity, **said}


def _output(row: Row, tables: Mapping[str, Rows], facet: _Facets) -> Json:
    namespace, name = _place(row["uri"].removesuffix(f"/{row['version']}"))
    begins = f"{DATASET}{row['dataset']}."
    checks = [
        {
            "assertion": each["metric"].removeprefix(begins),
            "success": each["verdict"] not in _NO_VERSION,
            "name": each["metric"],
            **_said(each),
        }
        for each in _judged(tables, row["batch_id"])
        if each["loop"] == row["loop"] and each["metric"].startswith(begins)
    ]
    facets = {
        "version": facet("DatasetVersionDatasetFacet", datasetVersion=row["version"]),
        "schema": facet("SchemaDatasetFacet", fields=_fields(row["schema_json"])),
        "bfp_version": facet(
            "BfpVersionDatasetFacet",
            kind=row["kind"],
            parentVersion=row["parent_version"],
            contentSha256=row["content_sha256"],
            manifestUri=row["manifest_uri"],
            configHash=row["config_hash"],
            codeVersion=row["code_version"],
        ),
    }
    if checks:
        facets["dataQualityAssertions"] = facet(
            "DataQualityAssertionsDatasetFacet", assertions=checks
        )
    counted = facet("OutputStatisticsOutputDatasetFacet", rowCount=row["row_count"])
    return {
        "namespace": namespace,
        "name": name,
        "facets": facets,
        "outputFacets": {"outputStatistics": counted},
    }


def _judged(tables: Mapping[str, Rows], batch_id: int) -> Rows:
    """What versions of datasets are judged by, those that were made and those that were not."""
    mine = where(tables["measurements"], batch_id=batch_id)
    return ordered((r for r in mine if r["metric"].startswith(DATASET)), "loop", "metric")


def _said(row: Row) -> Json:
    """What an assertion and a test have in common; a failure is a version that was not made."""
    said: Json = {"severity": "error"}
    if row["value"] is not None:
        said["actual"] = str(row["value"])
    if row["reason"]:
        said["description"] = row["reason"]
    return said


def _fields(schema_json: str) -> list[Json]:
    schema = T.StructType.fromJson(json.loads(schema_json))
    return [{"name": each.name, "type": each.dataType.simpleString()} for each in schema]


def _location(uri: str) -> str:
    return uri if "://" in uri else f"file://{uri}"


def _place(uri: str) -> tuple[str, str]:
    """The namespace and name of files, as https://openlineage.io/docs/spec/naming has them."""
    if "://" not in uri:
        return "file", uri
    told = urlsplit(uri)
    return f"{told.scheme}://{told.netloc}", told.path.lstrip("/")
