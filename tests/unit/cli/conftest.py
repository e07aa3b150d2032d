"""Commands as a user gives them, where neither broker nor registry is there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from processor import cli

NOBODY = "127.0.0.1:1"
LOOP = """
loop: employment
model: classifier
outcome: {metric: employed, from: ground_truth, window: 14d}
rules: [{rule: volume, new_rows: 10}]
"""
OWN = f"""
loops: loops
warehouse: warehouse
report: report
kafka: {{bootstrap_servers: "{NOBODY}", timeout: PT0.3S}}
registry: {{url: "http://{NOBODY}"}}
"""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401  # any document
        """The one JSON document on stdout; fails where there is none, or more."""
        return json.loads(self.out)


Bfp = Callable[..., Ended]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration whose broker and registry are not there."""
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "a.yaml").write_text(LOOP, encoding="utf-8")
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    monkeypatch.setenv("BFP_CONFIG", str(tmp_path / "own.yaml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bfp(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bfp:
    """Runs the command in this process, which need not import everything anew each time."""
    return lambda *words: ended(monkeypatch, capsys, words)


def ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: Iterable[str]
) -> Ended:
    """Runs a command in this process."""
    monkeypatch.setattr(cli, "end_when_asked", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bfp", *words])
    code: object = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    assert isinstance(code, int)
    return Ended(code, *capsys.readouterr())


def python(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=home, timeout=60
    )
