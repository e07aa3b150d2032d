"""A Java that is not there, or that Spark cannot run on: one sentence, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Bfp


def jdk(home: Path, version: str) -> Path:
    """A folder that looks like a JDK, with nothing in it that could start."""
    (home / "jdk" / "bin").mkdir(parents=True)
    (home / "jdk" / "bin" / "java").touch(mode=0o755)
    (home / "jdk" / "release").write_text(f'JAVA_VERSION="{version}"\n', encoding="utf-8")
    return home / "jdk"


def refused_java(bfp: Bfp, said: str) -> None:
    """Both who starts a JVM and who looks for one end with 2 and one sentence."""
    up = bfp("local", "up", "--home", "services")
    assert up.code == 2
    (sentence,) = [line for line in up.err.splitlines() if line.startswith("error:")]
    assert said in sentence
    assert "Traceback" not in up.err
    looked = bfp("doctor", "--json")
    assert looked.code == 2
    (found,) = [check for check in looked.document if check["name"] == "java"]
    assert (found["ok"], found["exit_code"]) == (False, 2)
    assert said in found["found"]
    assert "OpenJDK 17" in found["remedy"]


def test_no_java(bfp: Bfp, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(home))
    refused_java(bfp, "no Java is installed")


def test_java_home_that_leads_nowhere(bfp: Bfp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    refused_java(bfp, "JAVA_HOME is /nowhere")


@pytest.mark.parametrize(("version", "major"), [("11.0.2", 11), ("1.8.0_292", 8), ("25", 25)])
def test_java_that_spark_cannot_run_on(
    bfp: Bfp, home: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(jdk(home, version)))
    refused_java(bfp, f"is Java {major}, and Spark needs 17 or 21")
