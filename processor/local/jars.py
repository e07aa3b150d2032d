"""Jars in the cache folder: fetched once, and checked against the lock each time they are used."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyspark

from processor.errors import DataRefused, Unavailable
from processor.local import ivy, lockfile
from processor.local.lockfile import Artifact, locked, sha256

ROOTS = {
    "spark": (
        Artifact("org.apache.spark", "spark-sql-kafka-0-10_2.13", "4.1.1"),
        Artifact("org.apache.spark", "spark-avro_2.13", "4.1.1"),
    ),
    # Of the tests and benchmarks alone: the job's tables are committed by delta-rs.
    "delta": (Artifact("io.delta", "delta-spark_4.1_2.13", "4.4.0"),),
    "broker": (Artifact("org.apache.kafka", "kafka_2.13", "4.1.1"),),
    "registry": (
        Artifact(
            *("io.apicurio", "apicurio-registry-app", "2.6.13.Final"),
            classifier="all",
            extension="tar.gz",
        ),
    ),
}
"""What is asked for; the lock says what that comes to."""

BESIDE_SPARK = ("spark", "delta")
"""Groups that join what pyspark ships."""

_STANDS_IN = {
    "commons-logging": "jcl-over-slf4j, which pyspark ships",
    "javax.annotation-api": "jakarta.annotation-api, which pyspark ships",
    "shims": "part of the newer RoaringBitmap that pyspark ships",
}
"""Dependencies on Spark's side that something else stands in for; two of a kind would clash."""


def ensure(group: str, cache: Path, say: Callable[[str], None] | None = None) -> list[Path]:
    """The files of a group, every one with the content that the lock names; fetches what lacks.

    Raises:
        DataRefused: a file has another content; names it.
        Unavailable: a file is not there and cannot be fetched, or the cache cannot be written.
    """
    folder = cache / group
    files = locked(group)
    lacking = [each for each in files if not (folder / each.file).is_file()]
    if lacking:
        if say is not None:
            say(f"fetching {len(lacking)} files for the {group}")
        _fetch(lacking, folder)
    for each in files:
        _check(each, folder / each.file)
    return [folder / each.file for each in files]


def _fetch(artifacts: list[Artifact], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
            ivy.fetch(artifacts, Path(scratch), transitive=False)
            for each in artifacts:
                found = Path(scratch, each.file)
                _check(each, found)
                found.replace(folder / each.file)
    except OSError as error:
        raise Unavailable(
            f"the cache folder {folder} cannot be written: {error.strerror or error}",
            remedy="make room or set BFP_CACHE to another folder, and try again",
        ) from error


def _check(artifact: Artifact, path: Path) -> None:
    found = sha256(path)
    if found != artifact.sha256:
        raise DataRefused(
            f"{artifact.file} is not the file that the lock names: its SHA-256 is {found},"
            f" and should be {artifact.sha256}",
            remedy=f"remove {path} and try again; if it stays so, do not trust the repository",
        )


def relock(scratch: Path) -> dict[str, int]:
    """Resolves every root anew and replaces the lock; how many files each group has.

    Raises:
        Unavailable: the repository does not answer.
    """
    groups = {group: _resolved(group, scratch / group) for group in ROOTS}
    lockfile.write(groups)
    shutil.rmtree(scratch)
    return {group: len(files) for group, files in groups.items()}


def _resolved(group: str, folder: Path) -> list[Artifact]:
    roots = ROOTS[group]
    ivy.fetch(roots, folder, transitive=group != "registry")
    archives = {root.file: root for root in roots if root.classifier}
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if path.name in archives:
            found.append(replace(archives[path.name], sha256=sha256(path)))
        elif path.suffix == ".jar":
            found.append(_described(path, folder / "ivy-cache"))
    return [each for each in found if group not in BESIDE_SPARK or not _brought_by_spark(each)]


def _brought_by_spark(artifact: Artifact) -> bool:
    """Whether pyspark ships it, in whatever version."""
    jars = Path(pyspark.__file__).parent.glob("jars/*.jar")
    shipped = {re.sub(r"-\d.*$", "", path.stem) for path in jars}
    return artifact.name in shipped or artifact.name in _STANDS_IN


def _described(path: Path, cache: Path) -> Artifact:
    """Which artifact a jar is, from where Ivy keeps it: organisation/name/jars/file."""
    kept = next(cache.glob(f"*/*/*/{path.name}"))
    name = kept.parent.parent.name
    version = path.stem.removeprefix(f"{name}-")
    return Artifact(kept.parent.parent.parent.name, name, version, sha256(path))
