"""The command line: how it ends, what it says, and what it starts, with no JVM and no broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import click
import pytest
from rich.console import Console

from processor import cli
from processor.avro import contracts
from processor.batches import Partition
from processor.cli.grid import grid
from processor.lock import held
from processor.measurements import REFUSED, dataset_metric
from processor.stages.cut import Nothing
from processor.stages.landing import Place
from processor.stages.pipeline import PLAN
from processor.stages.unread import Unread
from processor.table import Table
from processor.tables import BATCHES, EXPIRED, LOG, MEASUREMENTS, TYPED
from processor.version import VERSION
from processor.warehouse import Warehouse
from tests.unit.cli.conftest import NOBODY, Bfp, python

COMMANDS = {
    *(
        "backfill",
        "dataset",
        "demo",
        "doctor",
        "explain",
        "local",
        "plan",
        "replay",
        "report",
        "run",
        "schema",
    ),
    *("status", "tune", "verify"),
}


def test_help_lists_every_command_and_imports_nothing_heavy(home: Path) -> None:
    said = python("-X", "importtime", "-m", "processor", "--help", home=home)
    listed = {line.split()[0] for line in said.stdout.splitlines() if line.startswith("  ")}
    assert said.returncode == 0
    assert listed >= COMMANDS == set(cli.bfp.list_commands(click.Context(cli.bfp)))
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in said.stderr.splitlines()}
    assert "processor" in imported
    heavy = {"pyspark", "confluent_kafka", "deltalake", "pyarrow", "numpy", "pydantic", "fastavro"}
    assert not imported & heavy


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_help_of_its_own(bfp: Bfp, name: str) -> None:
    ended = bfp(name, "--help")
    assert ended.code == 0
    assert f"bfp {name}" in ended.out


def test_the_version(bfp: Bfp) -> None:
    assert bfp("--version").out == f"bfp, version {VERSION}\n"


@pytest.mark.parametrize(
    ("words", "nearest"),
    [
        (["statsu"], "did you mean 'status'?"),
        (["schema", "chekc"], "'check'"),
        (["status", "--lopp", "x"], "--loop"),
        (["status", "--set", "kafak.timeout=1s"], "did you mean 'kafka'?"),
        (["status", "--set", "kafka.tiemout=1s"], "did you mean 'timeout'?"),
        (["status", "--loop", "employmnt"], "did you mean 'employment'?"),
        (["run", "--stage", "snapshto"], "did you mean 'snapshot'?"),
        (["status", "--set", "warehouse"], "write --set KEY=VALUE"),
        (["status", "--config", "none.yaml"], "none.yaml"),
        (["report"], "`bfp run` makes the first"),
        (["report", "--batch", "0"], "--batch"),
        (["verify"], "`bfp run` makes the first"),
        (["backfill"], "`bfp run` makes the first"),
        (["run", "--since", "2020-01-01"], "add --catch-up"),
        (["schema", "check", "--record", "FeedbackEvent"], "name FILE too"),
        (["plan", "--until", "soon"], "'soon' is no time"),
        (["run", "--until", "2999-01-01"], "is after now"),
        (["plan", "--set", "schedule.every=dya"], "schedule.every"),
        (["plan", "--set", "schedule.zone=Europe/Berln"], "no time zone 'Europe/Berln'"),
        (["run", "--catch-up", "--stage", "snapshot"], "--stage"),
        (["dataset", "shwo", "d/v000001"], "'show'"),
        (["dataset", "list", "--dataset", "d"], "no dataset 'd'"),
        (["dataset", "show", "d/v000001"], "`bfp run` makes the first"),
        (["dataset", "diff", "d/v000001", "d/v000002"], "`bfp run` makes the first"),
        (["dataset", "rebuild", "d/v000001"], "`bfp run` makes the first"),
        (["explain", "row", "d/v000001", "i"], "`bfp run` makes the first"),
        (["tune", "employmnt", "--budget", "9"], "did you mean 'employment'?"),
        (["tune", "employment", "--budget", "0"], "--budget"),
        (["tune", "employment", "--budget", "9"], "`bfp run` makes the first"),
        (["explain", "event", "bfp.inferences-7"], "write TOPIC/PARTITION/OFFSET"),
        (["explain", "event", f"bfp.inferences/0/{10**20}"], "write TOPIC/PARTITION/OFFSET"),
        (["status", "--set", "kafka.timeout=["], "--set kafka.timeout"),
        (["status", "--set", "kafka.timeout=9999999999999d"], "longer than any span"),
        (["status", "--set", "kafka.timeout=-5"], "a span is written as"),
        (["status", "--set", "kafka.timeout=true"], "a span is written as"),
        (["plan", "--set", "kafka.properties={no.such: 3}"], "no.such"),
        (["plan", "--until", "0001-01-01T00:00+14:00"], "is no time"),
        (["explain", "event", "bfp.infrences/0/7"], "did you mean 'bfp.inferences'?"),
        (["explain", "event", "bfp.inferences/0/7"], "`bfp run` reads the first"),
        *(
            ([command, "--set", "warehouse=w/backfills/0123456789ab"], "the folder of a backfill")
            for command in ("plan", "run", "status", "report", "verify", "backfill")
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_what_was_meant(
    bfp: Bfp, words: list[str], nearest: str
) -> None:
    ended = bfp(*words)
    assert ended.code == 2
    assert ended.out == ""
    assert nearest in ended.err
    assert "Traceback" not in ended.err
    told = bfp(*words, "--json")
    assert (told.code, told.document["exit_code"], told.document["retryable"]) == (2, 2, False)
    assert nearest in told.document["what"] + told.document["remedy"]


@pytest.mark.parametrize("command", ["run", "plan", "doctor"])
def test_an_absent_broker_ends_with_75_and_nothing_is_planned(
    bfp: Bfp, home: Path, command: str
) -> None:
    ended = bfp(command)
    assert ended.code == 75
    assert f"Kafka at {NOBODY} does not answer" in ended.out + ended.err
    assert "Traceback" not in ended.err
    assert {path.name for path in home.rglob("warehouse/*")} <= {".bfp.lock"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing to do: all that can be read is read"),
        (
            ("--until", "2024-01-01T00:00Z"),
            "nothing to do: all up to 2024-01-01T00:00:00+00:00 is taken",
        ),
    ],
)
def test_a_plan_and_a_run_say_alike_that_nothing_is_new(
    bfp: Bfp, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    for name, planted in (
        ("plan.preflight", None),
        ("plan.next_batch", Nothing()),
        ("plan.unread", Unread((), [], {})),
        ("run.taken_until", ()),
    ):
        monkeypatch.setattr(f"processor.cli.{name}", lambda *_, found=planted, **__: found)
    assert (bfp("plan", *words).out, bfp("run", *words).out) == (f"{told}\n", f"{told}\n")


def test_a_plan_of_nothing_says_what_open_transactions_hold_back(
    bfp: Bfp, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back = {Partition("orders", 0): 3}
    for name, planted in (
        ("preflight", None),
        ("next_batch", Nothing(held_back)),
        ("unread", Unread((), [], {})),
    ):
        monkeypatch.setattr(f"processor.cli.plan.{name}", lambda *_, found=planted, **__: found)
    assert bfp("plan").out == (
        "nothing to do: all that can be read is read\n"
        "open transactions hold offsets back, which a later batch takes: orders/0 3\n"
    )
    assert bfp("plan", "--json").document["held_back"] == 3


def test_an_absent_registry_ends_with_75_and_its_address(bfp: Bfp) -> None:
    ended = bfp("schema", "register", "--json")
    assert (ended.code, ended.document["retryable"]) == (75, True)
    assert f"http://{NOBODY}" in ended.document["what"]


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_warehouse_that_cannot_be_written_ends_with_75(
    bfp: Bfp, home: Path, command: str
) -> None:
    (home / "file").write_text("", encoding="utf-8")
    ended = bfp(command, "--set", "warehouse=file/warehouse")
    assert ended.code == 75
    assert f"the warehouse {home / 'file' / 'warehouse'} cannot be written" in (
        ended.out + ended.err
    )


def test_a_command_that_only_reads_makes_no_warehouse(bfp: Bfp, home: Path) -> None:
    assert bfp("verify").code == 2
    assert not (home / "warehouse").exists()


@pytest.mark.parametrize("name", ["w", "/dev/null"])
def test_a_warehouse_that_is_no_folder_is_refused(bfp: Bfp, home: Path, name: str) -> None:
    (home / "w").touch()
    ended = bfp("status", "--set", f"warehouse={name}")
    assert (ended.code, ended.err.splitlines()[-1]) == (2, "  remedy: name a folder")


@pytest.mark.parametrize("character", [*"[]^|\\*?{}", "%20"])
def test_a_warehouse_whose_name_delta_or_spark_take_for_another_is_refused(
    bfp: Bfp, home: Path, character: str
) -> None:
    ended = bfp("status", "--set", f"warehouse=a{character}b")
    assert ended.code == 2
    assert f"has {character!r} in its name" in ended.err
    assert ended.err.splitlines()[-1] == "  remedy: name a folder without"


def test_a_warehouse_that_another_run_holds_ends_with_5(bfp: Bfp, home: Path) -> None:
    with held(str(home / "warehouse")):
        ended = bfp("run", "--json")
    assert ended.code == 5
    assert (ended.document["error"], ended.document["retryable"]) == ("BatchHeld", True)


def test_schema_check_passes_what_may_be_released(bfp: Bfp) -> None:
    assert bfp("schema", "check", "--json").document == {"findings": []}
    assert bfp("schema", "check").out == "every contract is compatible\n"


def test_schema_check_ends_with_3_on_a_contract_that_breaks_a_producer(
    bfp: Bfp, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for record in contracts.records():
        old = contracts.contract(record).schema
        if record == "GroundTruth":
            next(f for f in old["fields"] if f["name"] == "metric")["type"] = "long"
        (home / "shipped" / record).mkdir(parents=True)
        text = json.dumps(old)
        (home / "shipped" / record / "1.avsc").write_text(text, encoding="utf-8")
    monkeypatch.setattr(contracts, "SHIPPED", home / "shipped")
    ended = bfp("schema", "check", "--json")
    assert (ended.code, ended.document["error"]) == (3, "DataRefused")
    assert "GroundTruth 1 (backward)" in ended.document["what"]
    assert "ErasureRequest" not in ended.document["what"]


def test_an_empty_warehouse_is_said_to_be_empty(bfp: Bfp, home: Path) -> None:
    told = bfp("status", "--json").document
    assert f"Kafka at {NOBODY} does not answer" in told.pop("broker")
    assert told == {
        "warehouse": str(home / "warehouse"),
        "last_batch": None,
        "pending_stages": [],
        "batches": [],
        "label_requests": {},
        "expired": [],
        "retention": None,
        "warnings": [],
        "quarantine": {"defective": 0, "replayed": 0, "recovered": 0, "codes": []},
    }
    ended = bfp("status")
    assert ended.code == 0
    assert "no batch yet" in ended.out
    assert "what is unread is not known" in ended.out
    assert not (home / "warehouse").exists()


def put(home: Path, *rows: tuple[Table, Mapping[str, object]]) -> None:
    """A warehouse of one batch with a row of each of these tables."""
    for table, row in rows:
        blank = dict.fromkeys(table.schema.names)
        told = [{**blank, **row, "batch_id": 1}]
        Warehouse(str(home / "warehouse")).append_once(table, told, PLAN, 1)


def test_status_says_places_as_explain_takes_them_and_cuts_no_word(bfp: Bfp, home: Path) -> None:
    place = Place(f"{'long.' * 14}ground-truth", 0, 1234567)
    origin = {**place._asdict(), "batch_id": 1}
    defects = [{"code": "value_is_missing", "detail": "neither value_str, nor value_num is there"}]
    put(
        home,
        (BATCHES, {"topic": place.topic, "partition": 0, "start_offset": 0, "end_offset": 0}),
        (TYPED["ground_truth"], {"attempt": 1, "defects": defects, "origin": origin}),
        (EXPIRED, {"loop": "l", "metric": "m", "reason": "orphan", "origin": origin}),
    )
    lines = bfp("status").out.splitlines()
    told = f"value_is_missing: 1, the first at {place}: {defects[0]['detail']}"
    assert f"  ground_truth, {told}" in lines
    assert any(line.startswith(f"l, m: 1 answers expired, as {place}: ") for line in lines)
    assert Place.parse(str(place)) == place


def test_tables_cut_nothing_off() -> None:
    words = ["a" * 100, "b" * 50, "c"]
    table = grid("one", "two", "three")
    table.add_row(*words)
    console = Console(width=80, file=StringIO())
    with console.capture() as shown:
        console.print(table)
    assert [shown.get().count(word[0]) for word in words] == [100, 50, 1]


def test_status_and_list_say_which_versions_were_refused_and_why(bfp: Bfp, home: Path) -> None:
    why = {"loop": "employment", "verdict": REFUSED, "reason": "3 held-out rows leak by subject"}
    put(
        home,
        (BATCHES, {"topic": "t", "partition": 0, "start_offset": 0, "end_offset": 0}),
        (MEASUREMENTS, {**why, "metric": dataset_metric("d", "leakage.subject")}),
    )
    (batch,) = bfp("status", "--json").document["batches"]
    assert batch["refused"] == [{"dataset": "d", "reason": why["reason"]}]
    assert "d: no version: 3 held-out rows leak by subject" in bfp("status").out
    listed = bfp("dataset", "list", "--dataset", "d", "--json").document
    refused = {"dataset": "d", "loop": "employment", "batch_id": 1, "reason": why["reason"]}
    assert listed == {"versions": [], "refused": [refused]}
    unmade = bfp("dataset", "show", "d/v000001", "--json")
    assert (unmade.code, unmade.document["what"]) == (2, f"d/v000001 was not made: {why['reason']}")


def test_the_module_is_the_command(home: Path) -> None:
    said = python("-m", "processor", "status", "--loop", "employmnt", "--json", home=home)
    assert said.returncode == 2
    assert json.loads(said.stdout)["remedy"] == "did you mean 'employment'?"


def test_the_demo_empties_no_folder_that_is_not_its_own(bfp: Bfp, home: Path) -> None:
    precious = home / "work" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine", encoding="utf-8")
    ended = bfp("demo", "--home", str(precious.parent), "--json")
    assert (ended.code, ended.document["error"]) == (2, "ConfigError")
    assert "precious.txt" in ended.document["what"]
    assert precious.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("datasets", "why"),
    [
        ("[{name: d, sampling: {policy: uniforn}}]", "did you mean 'uniform'?"),
        ("[{name: d}, {name: d}]", "two datasets are called 'd'"),
    ],
)
def test_a_plan_refuses_what_a_run_would(bfp: Bfp, tmp_path: Path, datasets: str, why: str) -> None:
    loops = tmp_path / "other"
    loops.mkdir()
    outcome = "{metric: m, signal: click, window: 1h}"
    (loops / "a.yaml").write_text(
        f"{{loop: a, model: m, outcome: {outcome}, datasets: {datasets}}}", encoding="utf-8"
    )
    for command in ("plan", "run"):
        ended = bfp(command, "--set", f"loops={loops}")
        assert (ended.code, ended.out) == (2, "")
        assert why in ended.err


def test_a_table_of_plans_that_lost_its_last_commit_is_found(bfp: Bfp, home: Path) -> None:
    warehouse = Warehouse(str(home / "warehouse"))
    row = dict.fromkeys(BATCHES.schema.names) | {"topic": "t", "partition": 0}
    for number in (1, 2):
        warehouse.append_once(BATCHES, [row | {"batch_id": number}], "plan", number)
        warehouse.append_once(LOG, [], "snapshot/log", number)
    newest = max((home / "warehouse" / "batches" / "_delta_log").glob("*.json"))
    newest.write_bytes(b"")
    for command in ("status", "plan", "run"):
        ended = bfp(command)
        assert ended.code == 4, ended.err
        assert "batch 2 is in the table log and was never planned" in ended.err


def test_a_file_of_a_table_that_is_gone_is_named(bfp: Bfp, home: Path) -> None:
    warehouse = Warehouse(str(home / "warehouse"))
    warehouse.append_once(
        BATCHES, [dict.fromkeys(BATCHES.schema.names) | {"batch_id": 1}], "plan", 1
    )
    (written,) = (home / "warehouse" / "batches").glob("*.parquet")
    written.unlink()
    ended = bfp("plan")
    assert ended.code == 75
    assert "a file of the table batches cannot be read" in ended.err
    assert written.name in ended.err
