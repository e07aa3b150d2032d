"""What runs on this machine: jars as locked, programs found again, and none that outlives us."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pyspark
import pytest

from processor.errors import DataRefused, Unavailable
from processor.local import ivy, jars, lockfile, service, stack
from processor.local.lockfile import GROUPS, Artifact, locked
from processor.local.places import cache_dir
from processor.local.scratch import scratch

ENDS_SECONDS = 15.0
CONNECTIONS = 50


# Jars


def planted(folder: Path, group: str, content: bytes = b"bad") -> None:
    (folder / group).mkdir(parents=True, exist_ok=True)
    for each in locked(group):
        (folder / group / each.file).write_bytes(content)


@pytest.fixture
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Artifact]:
    """A lock of small files, one in each group."""
    content = {group: f"content of {group}".encode() for group in GROUPS}
    path = tmp_path / "lock.json"
    monkeypatch.setattr(lockfile, "LOCK", path)
    files = []
    for group, held in content.items():
        (tmp_path / group).mkdir()
        (tmp_path / group / f"a-{group}-1.jar").write_bytes(held)
        sha = lockfile.sha256(tmp_path / group / f"a-{group}-1.jar")
        files.append(Artifact("org", f"a-{group}", "1", sha))
    lockfile.write({group: [each] for group, each in zip(GROUPS, files, strict=True)})
    return files


@pytest.mark.parametrize("group", GROUPS)
def test_a_file_with_another_content_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    monkeypatch.setenv("BFP_CACHE", str(tmp_path))
    planted(tmp_path, group)
    first = locked(group)[0]
    with pytest.raises(DataRefused, match="is not the file that the lock names") as refused:
        jars.ensure(group, cache_dir())
    assert first.file in refused.value.what
    assert first.sha256 in refused.value.what
    assert str(tmp_path / group / first.file) in refused.value.remedy


def test_files_as_locked_are_given_in_the_order_of_the_lock(
    tmp_path: Path, own_lock: list[Artifact]
) -> None:
    name = own_lock[GROUPS.index("broker")].file
    path = tmp_path / "broker" / name
    assert jars.ensure("broker", tmp_path) == [path]
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DataRefused, match=name):
        jars.ensure("broker", tmp_path)


def test_what_is_fetched_is_kept_only_if_it_is_as_locked(
    tmp_path: Path, own_lock: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = (tmp_path / "spark" / own_lock[0].file).read_bytes()
    said: list[str] = []

    def fetched(content: bytes) -> None:
        def fetch(artifacts: list[Artifact], folder: Path, *, transitive: bool) -> None:
            assert not transitive
            for each in artifacts:
                (folder / each.file).write_bytes(content)

        monkeypatch.setattr(ivy, "fetch", fetch)

    cache = tmp_path / "new"
    fetched(b"bad")
    with pytest.raises(DataRefused, match=own_lock[0].file):
        jars.ensure("spark", cache)
    assert list((cache / "spark").iterdir()) == []
    fetched(good)
    (path,) = jars.ensure("spark", cache, said.append)
    assert path.read_bytes() == good
    assert said == ["fetching 1 files for the spark"]
    fetched(b"not asked again")
    assert jars.ensure("spark", cache, said.append) == [path]


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(Unavailable, match=r"BFP_CACHE|cannot be written"):
        jars.ensure("spark", tmp_path / "file" / "cache")


def test_the_lock_is_complete_and_sorted_and_names_each_file_once() -> None:
    raw = json.loads(lockfile.LOCK.read_text(encoding="utf-8"))
    assert tuple(raw) == GROUPS == tuple(jars.ROOTS)
    for group in GROUPS:
        files = locked(group)
        assert files == sorted(files)
        assert len({(each.organisation, each.name) for each in files}) == len(files)
        assert all(len(bytes.fromhex(each.sha256)) == 32 for each in files)
        bare = {replace(each, sha256="") for each in files}
        assert set(jars.ROOTS[group]) <= bare


def test_writing_the_lock_again_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {group: locked(group)[::-1] for group in GROUPS}
    before = lockfile.LOCK.read_bytes()
    monkeypatch.setattr(lockfile, "LOCK", tmp_path / "lock.json")
    lockfile.write(groups)
    assert lockfile.LOCK.read_bytes() == before


def test_spark_is_given_no_jar_that_it_has_and_its_own_versions() -> None:
    own = {path.stem for path in Path(pyspark.__file__).parent.glob("jars/*.jar")}
    versions = {each.name: each.version for each in locked("spark")}
    for name in versions:
        assert not [
            jar for jar in own if jar.startswith(f"{name}-") and jar[len(name) + 1] in "0123456789"
        ]
    assert versions["spark-avro_2.13"] == pyspark.__version__
    assert versions["spark-sql-kafka-0-10_2.13"] == pyspark.__version__


def test_the_cache_is_where_it_was_told_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("BFP_CACHE", raising=False)
    assert cache_dir() == tmp_path / "xdg" / "batch-feedback-processor"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BFP_CACHE", "own")
    assert cache_dir() == tmp_path / "own"


def test_scratch_removes_its_own_and_what_the_dead_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFP_CACHE", str(tmp_path))
    with subprocess.Popen(["true"]) as gone:
        pass
    kept = [tmp_path / "tmp" / name for name in (str(os.getppid()), "notes")]
    left = tmp_path / "tmp" / str(gone.pid)
    for folder in (*kept, left):
        (folder / "deep").mkdir(parents=True)
    with scratch() as own:
        (own / "file").write_text("", encoding="utf-8")
        assert not left.exists()
    assert sorted((tmp_path / "tmp").iterdir()) == sorted(kept)


# Services


def note(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / service.STATE).write_text(text, encoding="utf-8")
    return folder


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as gone:
        return gone.pid


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "ports": {}}'])
def test_a_note_that_cannot_be_read_is_no_service(tmp_path: Path, text: str) -> None:
    assert service.remembered(note(tmp_path, text)) is None
    assert service.found(tmp_path) is None


def test_a_stale_note_keeps_the_ports_and_is_no_service(tmp_path: Path) -> None:
    note(tmp_path, json.dumps({"pid": dead_pid(), "ports": {"http": 4242}}))
    before = service.remembered(tmp_path)
    assert before is not None
    assert before.ports == {"http": 4242}
    assert service.found(tmp_path) is None


@pytest.mark.parametrize("pid", [-1, 0, 10**30])
def test_a_note_of_no_process_is_no_service(tmp_path: Path, pid: int) -> None:
    note(tmp_path, json.dumps({"pid": pid, "ports": {}}))
    assert service.found(tmp_path) is None


def test_a_process_number_that_another_program_has_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        note(tmp_path, json.dumps({"pid": other.pid, "ports": {}}))
        noted = service.remembered(tmp_path)
        assert noted is not None
        assert service.found(tmp_path) is None
        noted.stop()
        assert other.poll() is None
        other.kill()


def test_a_service_is_found_by_its_folder_and_stopped_with_its_children(tmp_path: Path) -> None:
    command: list[str | Path] = ["/bin/sh", "-c", "sleep 60 & wait", tmp_path]
    begun = service.start(tmp_path, command, {"http": 1}, owned=False)
    assert service.found(tmp_path) == begun
    assert service.wait_for(lambda: bool(psutil.Process(begun.pid).children()), ENDS_SECONDS)
    (child,) = psutil.Process(begun.pid).children()
    begun.stop()
    assert service.found(tmp_path) is None
    assert service.wait_for(lambda: not child.is_running(), ENDS_SECONDS)
    remembered = service.remembered(tmp_path)
    assert remembered is not None
    assert remembered.ports == {"http": 1}


def test_a_service_that_will_not_stop_is_made_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STOP_SECONDS", 0.5)
    ready = tmp_path / "ready"
    stubborn = f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done"
    begun = service.start(tmp_path, ["/bin/sh", "-c", stubborn], {}, owned=False)
    assert service.wait_for(ready.exists, ENDS_SECONDS)
    begun.stop()
    assert not begun.alive


def test_a_service_that_ends_at_once_is_said_with_its_last_words(tmp_path: Path) -> None:
    command: list[str | Path] = ["/bin/sh", "-c", "echo no port left; exit 3", tmp_path]
    begun = service.start(tmp_path, command, {}, owned=True)
    with pytest.raises(Unavailable, match="the thing did not start: no port left"):
        service.wait_ready(begun, lambda: False, 60, "thing")


def test_a_service_that_never_answers_is_stopped_and_said(tmp_path: Path) -> None:
    begun = service.start(tmp_path, ["/bin/sh", "-c", "sleep 60", tmp_path], {}, owned=False)
    with pytest.raises(Unavailable, match="it said nothing"):
        service.wait_ready(begun, lambda: False, 0.3, "thing")
    assert not begun.alive


def test_an_answer_of_another_program_is_not_taken_for_ours(tmp_path: Path) -> None:
    begun = service.start(tmp_path, ["/bin/sh", "-c", "exit 1", tmp_path], {}, owned=False)
    # Not `alive`: a process that is just being started has no command line for a moment.
    assert service.wait_for(lambda: not psutil.pid_exists(begun.pid), ENDS_SECONDS)
    with pytest.raises(Unavailable, match="did not start"):
        service.wait_ready(begun, lambda: True, 0.3, "thing")


def test_a_port_that_is_taken_is_replaced_and_a_free_one_kept() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert service.answers(port)
        other = service.free_port(port)
        assert other != port
    assert service.free_port(other) == other
    assert not service.answers(other)


def test_no_connection_is_given_a_port_that_a_service_is_about_to_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as opened:
        there = server.getsockname()
        made = [opened.enter_context(socket.create_connection(there)) for _ in range(CONNECTIONS)]
        given = {each.getsockname()[1] for each in made}
    assert len(given) == CONNECTIONS
    assert not given & set(service.PORTS)
    assert service.free_port() in service.PORTS


def test_a_folder_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(folder: Path, *_: object, **__: object) -> service.Service:
        folder.mkdir(parents=True)
        raise AssertionError("the folder was made")

    monkeypatch.setitem(stack.STARTERS, "kafka", start)
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="nothing can be started in") as refused:
        stack.up(tmp_path / "file" / "home", lambda _: None)
    assert str(tmp_path / "file" / "home") in refused.value.what


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    silent = {"running": False, "pid": None, "address": None}
    assert stack.status(tmp_path) == {"kafka": silent, "registry": silent}
    assert stack.down(tmp_path) == []
