"""The commands around a run, against a broker and a registry that are there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from processor.avro.contracts import contract, records
from processor.config import load
from processor.kafka.offsets import Broker
from processor.stages.pipeline import PLAN, STAGES
from processor.tables import BATCHES
from processor.warehouse import Warehouse
from tests.e2e.sameness import names
from tests.e2e.world import DATASETS, TRIGGERS, Site, World
from tests.small import AROUND

LIMIT = 180.0  # seconds
COLUMNS = "200"


class Ended(NamedTuple):
    code: int
    document: Any


def bfp(*words: str, config: Path, path: str | None = None, limit: float = LIMIT) -> Ended:
    """Runs a command; with `path`, where nothing is found, no Java either."""
    done = ran(*words, "--json", config=config, path=path, limit=limit)
    return Ended(done.returncode, json.loads(done.stdout))


def ran(
    *words: str, config: Path, path: str | None = None, limit: float = LIMIT
) -> subprocess.CompletedProcess[str]:
    """As `bfp`, for what a person reads, on a wide terminal."""
    without = {} if path is None else {"JAVA_HOME": path, "PATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "processor", *words, "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=limit,
        env={**os.environ, **AROUND, "COLUMNS": COLUMNS, **without},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_doctor_finds_everything_in_order(world: World) -> None:
    site = world.site("doctored")
    looked = bfp("doctor", config=site.config)
    assert looked.code == 0, looked.document
    assert [check["name"] for check in looked.document if check["ok"]] == [
        *("python", "java", "jars", "configuration", "warehouse", "kafka", "registry")
    ]
    other = bfp("doctor", "--set", "outputs.datasets=nowhere", config=site.config)
    (kafka,) = (check for check in other.document if check["name"] == "kafka")
    assert kafka["found"].endswith("to be created by broker or you: nowhere")


def test_plan_says_what_a_run_would_read_and_writes_nothing(world: World, tmp_path: Path) -> None:
    site = world.site("planned")
    planned = bfp("plan", config=site.config, path=str(tmp_path)).document
    config = load(site.config)
    bounds = Broker(config.kafka).bounds(config.topics.by_topic())
    assert (planned["batch"], planned["resumed"]) == (1, False)
    assert planned["records"] == sum(each.end - each.log_start for each in bounds.values())
    assert {(r["topic"], r["partition"], r["end_offset"]) for r in planned["ranges"]} == {
        (p.topic, p.partition, each.end) for p, each in bounds.items()
    }
    assert [stage["name"] for stage in planned["stages"]] == [stage.name for stage in STAGES]
    assert all(stage["pending"] for stage in planned["stages"])
    assert all(each["first_seen"] for each in planned["ranges"])
    assert {each["hours_left"] for each in planned["retention"]} == {None}  # kept for ever
    moment = ("--until", "2016-07-01T00:00Z")
    cut = bfp("plan", *moment, config=site.config, path=str(tmp_path)).document
    assert 0 < cut["records"] < planned["records"]
    assert set(cut["cut_by"].values()) == {"offset order"}
    assert (cut["held_back"], cut["left_over"], cut["warnings"]) == (0, 0, [])
    assert names(site) == set()


def test_plan_and_status_of_a_finished_batch(undisturbed: Site, tmp_path: Path) -> None:
    planned = bfp("plan", config=undisturbed.config, path=str(tmp_path))
    assert (planned.code, planned.document["batch"], planned.document["stages"]) == (0, None, [])
    told = bfp("status", config=undisturbed.config, path=str(tmp_path)).document
    assert (told["last_batch"], told["pending_stages"]) == (1, [])
    assert told["retention"] == planned.document["retention"]
    assert {each["topic"] for each in told["retention"]} == set(
        load(undisturbed.config).topics.by_topic()
    )
    assert {each["oldest_unread"] for each in told["retention"]} == {None}
    assert {d["rule"]: d["state"] for d in told["batches"][0]["decisions"]}["volume"] == "FIRED"


def test_the_report_of_a_batch_is_written_again_without_java(
    undisturbed: Site, tmp_path: Path
) -> None:
    where = f"report={tmp_path / 'again'}"
    again = bfp("report", "--batch", "1", "--set", where, config=undisturbed.config, path="/none")
    assert again.code == 0
    first = undisturbed.home / "report"
    for name in ("index.html", "report.json"):
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()
    missing = bfp("report", "--batch", "9", config=undisturbed.config)
    assert (missing.code, missing.document["error"]) == (2, "ConfigError")


def test_registered_contracts_are_those_of_the_source(world: World) -> None:
    site = world.site("registered")
    assert bfp("schema", "register", config=site.config).code == 0
    config = load(site.config)
    registry = SchemaRegistryClient({"url": world.stack.registry_url})
    registered = {
        subject: json.loads(registry.get_latest_version(subject).schema.schema_str or "")
        for subject in registry.get_subjects()
    }
    for topic in (*config.topics.by_topic(), site.outputs[TRIGGERS], site.outputs[DATASETS]):
        assert registered[f"{topic}-value"]["name"] in records()
    name = registered[f"{config.topics.inferences}-value"]["name"]
    assert registered[f"{config.topics.inferences}-value"] == contract(name).schema


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_topic_made_anew_ends_with_4_and_nothing_is_planned(world: World, command: str) -> None:
    site = world.site(f"anew-{command}")
    warehouse = Warehouse(str(site.warehouse))
    topic = load(site.config).topics.inferences
    known = {"batch_id": 1, "topic": topic, "topic_id": "another", "partition": 0}
    offsets = {"start_offset": 0, "end_offset": 1, "log_start_offset": 0, "high_watermark": 1}
    row = dict.fromkeys(BATCHES.schema.names) | known | offsets
    warehouse.append_once(BATCHES, [row | {"planned_at": datetime.now(UTC)}], PLAN, 1)
    for stage in STAGES:
        for table in stage.writes:
            warehouse.append_once(table, [], stage.writer(table), 1)
    ended = bfp(command, config=site.config)
    assert (ended.code, ended.document["error"]) == (4, "LossDetected")
    assert topic in ended.document["what"]
    assert warehouse.committed(BATCHES, PLAN) == 1


def test_a_file_of_a_table_that_cannot_be_read_is_named(undisturbed: Site, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.warehouse, tmp_path / "warehouse")
    file = next((tmp_path / "warehouse" / "inferences").glob("0*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-100])
    moved = ("--set", f"warehouse={tmp_path / 'warehouse'}")
    verified = bfp("verify", *moved, config=undisturbed.config)
    assert (verified.code, verified.document["error"]) == (4, "LossDetected")
    assert file.name in verified.document["what"]
    assert verified.document["remedy"].startswith("restore it")
