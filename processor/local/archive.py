"""An archive of the classes that a run loads, so that Spark starts in half the time.

The JVM maps it instead of reading, checking and linking some 20,000 classes from jars. It fits one
Java and one set of jars at one place, written at one time, so it lies in the environment, and its
name says which. The JVM itself would refuse one that does not fit without a word, for good.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyspark

from processor.errors import Unavailable
from processor.local.java import java
from processor.local.lockfile import LOCK, locked
from processor.local.places import cache_dir
from processor.local.service import run

WARM_UP = Path(__file__).parent / "warm_up.py"
_DIGITS = 12


def archive() -> Path:
    """Where the archive for this environment and this Java is, if it was built."""
    release = java().resolve().parent.parent / "release"
    told = release.read_text(encoding="utf-8") if release.is_file() else str(java().resolve())
    places = (pyspark.__file__, str(cache_dir()))
    jars = (f"{each.name} {_stamp(each)}" for each in _class_path())
    what = "\n".join((told, pyspark.__version__, *places, LOCK.read_text("utf-8"), *jars))
    name = hashlib.sha256(what.encode()).hexdigest()[:_DIGITS]
    return Path(sys.prefix, "share", "bfp", f"classes-{name}.jsa")


def _class_path() -> Iterator[Path]:
    """The jars of a session that are there: pyspark's, then those of the lock."""
    yield from sorted(Path(pyspark.__file__).parent.glob("jars/*.jar"))
    yield from filter(Path.is_file, (cache_dir() / "spark" / each.file for each in locked("spark")))


def _stamp(jar: Path) -> str:
    """What the JVM knows a jar by: one that was fetched again, the same, is another to it."""
    found = jar.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


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
            "the archive of Spark's classes is of another Java, other jars or another cache, or"
            " the jars were fetched again:"
            " `bfp local fetch` builds it anew, and Spark starts sooner"
        )
    return []


def _others(path: Path) -> list[Path]:
    """Archives of another Java, or of other jars."""
    return [each for each in path.parent.glob("classes-*.jsa") if each != path]
