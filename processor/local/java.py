"""The Java that Spark, the broker and the registry run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from processor.errors import ConfigError

SUPPORTED = (17, 21)  # Spark 4 runs on these
SMALL_JVM = ("-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Options of services that serve one machine: they start sooner, and leave it its processors."""

_VERSION = re.compile(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)')
_REMEDY = "install OpenJDK 17 and put it on PATH, or set JAVA_HOME to it"


def java() -> Path:
    """The `java` that Spark will start too.

    Raises:
        ConfigError: there is none, or one that Spark cannot run on.
    """
    found = _found()
    version = _version(found)
    if version not in SUPPORTED:
        known = " or ".join(map(str, SUPPORTED))
        raise ConfigError(f"{found} is Java {version}, and Spark needs {known}", remedy=_REMEDY)
    return found


def _found() -> Path:
    home = os.environ.get("JAVA_HOME")
    if home:
        path = Path(home, "bin", "java")
        if not path.is_file():
            raise ConfigError(f"JAVA_HOME is {home}, and no Java is there", remedy=_REMEDY)
        return path
    on_path = shutil.which("java")
    if on_path is None:
        raise ConfigError("no Java is installed", remedy=_REMEDY)
    return Path(on_path)


def _version(path: Path) -> int:
    """The major version: from the JDK's `release` file, which starts no JVM, else by asking."""
    release = path.resolve().parent.parent / "release"
    if release.is_file() and (said := _VERSION.search(release.read_text(encoding="utf-8"))):
        return int(said[1])
    try:
        asked = subprocess.run(  # noqa: S603  # the user's own Java
            [path, "-version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{path} does not start: {error}", remedy=_REMEDY) from error
    said = _VERSION.search(asked.stderr)
    if said is None:
        raise ConfigError(f"{path} does not say which Java it is", remedy=_REMEDY)
    return int(said[1])
