"""An archive of the classes that a run loads, so that Spark starts in half the time.

The JVM maps it instead of reading, checking and linking some 20,000 classes from jars. It fits one
Java and one set of jars at one place, each of the size and time that it had, so it lies in the
environment, and its name says which.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyspark

from processor.errors import Unavailable
from processor.local import lockfile
from processor.local.java import java
from processor.local.places import cache_dir
from processor.local.service import run

WARM_UP = Path(__file__).parent / "warm_up.py"
_DIGITS = 12


def archive() -> Path:
    """Where the archive for this environment and this Java is, if it was built."""
    release = java().resolve().parent.parent / "release"
    told = release.read_text(encoding="utf-8") if release.is_file() else str(java().resolve())
    what = "\n".join((told, pyspark.__version__, *_class_path()))
    name = hashlib.sha256(what.encode()).hexdigest()[:_DIGITS]
    return Path(sys.prefix, "share", "bfp", f"classes-{name}.jsa")


def _class_path() -> Iterator[str]:
    """The jars, as the JVM tells whether they are still those of the archive.

    A jar that was fetched again is another one to it, whatever its content.
    """
    locked = (cache_dir() / "spark" / each.file for each in lockfile.locked("spark"))
    for jar in (*sorted(Path(pyspark.__file__).parent.glob("jars/*.jar")), *locked):
        told = jar.stat() if jar.is_file() else None
        yield f"{jar} {told.st_size} {int(told.st_mtime)}" if told else f"no {jar}"


def build(say: Callable[[str], None]) -> Path:
    """Builds the archive, if it is not there, by running a small job.

    Raises:
        Unavailable: the job failed, or there is no room.
    """
    path = archive()
    if not path.is_file():
        say("building an archive of Spark's classes")
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        aside.unlink(missing_ok=True)
        if run([sys.executable, WARM_UP, aside]) or not aside.is_file():
            raise Unavailable(f"the archive {path} was not made", remedy="make room, and try again")
        aside.replace(path)
        for stale in _others(path):
            stale.unlink()
    return path


def options(say: Callable[[str], None]) -> list[str]:
    """The JVM options that use the archive; none where there is none, which is said if one was."""
    path = archive()
    if path.is_file():
        return [f"-XX:SharedArchiveFile={path}", "-Xlog:cds=off:stderr"]
    if _others(path):
        say(
            "the archive of Spark's classes is of another Java, other jars or another cache:"
            " `bfp local fetch` builds it anew, and Spark starts sooner"
        )
    return []


def _others(path: Path) -> list[Path]:
    """Archives of another Java, or of other jars."""
    return [each for each in path.parent.glob("classes-*.jsa") if each != path]
