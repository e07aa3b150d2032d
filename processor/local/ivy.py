"""Ivy, as it lies inside pyspark: fetches files from a Maven repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pyspark

from processor.errors import Unavailable
from processor.local.java import java
from processor.local.lockfile import Artifact

REPOSITORY_VARIABLE = "BFP_MAVEN_REPOSITORY"
MAVEN = "http://ant.apache.org/ivy/maven"
FETCH_SECONDS = 900.0  # a slow line takes minutes; a dead one must end


def fetch(artifacts: Iterable[Artifact], folder: Path, *, transitive: bool) -> None:
    """Fetches files, and what they depend on if `transitive`, as `[artifact]-[revision].[ext]`.

    Its own settings name one repository: Maven Central, or `$BFP_MAVEN_REPOSITORY`. Without
    them Ivy would also read `~/.m2`, and die of what is missing there.

    Raises:
        Unavailable: the repository does not answer, or lacks a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings, module = folder / "ivysettings.xml", folder / "ivy.xml"
    settings.write_text(_settings(folder / "ivy-cache", transitive=transitive), encoding="utf-8")
    module.write_text(_module(artifacts, transitive=transitive), encoding="utf-8")
    jar = next(Path(pyspark.__file__).parent.glob("jars/ivy-*.jar"))
    pattern = f"{folder}/[artifact]-[revision](-[classifier]).[ext]"
    command: list[str | Path] = [
        f"-Duser.home={folder}",
        "-jar",
        jar,
        "-settings",
        settings,
        "-ivy",
        module,
    ]
    try:
        ran = subprocess.run(  # noqa: S603  # our own arguments
            [java(), *command, "-confs", "default", "-retrieve", pattern],
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed("it took too long") from error
    if ran.returncode:
        lines = [line for line in ran.stdout.splitlines() if "::" in line or "ERROR" in line]
        raise _failed("; ".join(line.strip(" :\t") for line in lines if line.strip(" :\t-")))


def _failed(why: str) -> Unavailable:
    return Unavailable(
        f"the Maven repository does not give the files: {why}",
        remedy=f"check the network, or set {REPOSITORY_VARIABLE} to a mirror, and try again",
    )


def _settings(cache: Path, *, transitive: bool) -> str:
    root = os.environ.get(REPOSITORY_VARIABLE)
    where = f" root={quoteattr(root)}" if root else ""
    poms = "true" if transitive else "false"
    return f"""<ivysettings>
  <settings defaultResolver="maven"/>
  <caches defaultCacheDir={quoteattr(str(cache))}/>
  <resolvers>
    <ibiblio name="maven" m2compatible="true" usepoms="{poms}"{where}/>
  </resolvers>
</ivysettings>
"""


def _module(artifacts: Iterable[Artifact], *, transitive: bool) -> str:
    lines = "\n".join(_dependency(each, transitive=transitive) for each in artifacts)
    return f"""<ivy-module version="2.0" xmlns:m="{MAVEN}">
  <info organisation="bfp" module="files"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
{lines}
  </dependencies>
</ivy-module>
"""


def _dependency(each: Artifact, *, transitive: bool) -> str:
    mode = "true" if transitive else "false"
    classifier = f" m:classifier={quoteattr(each.classifier)}" if each.classifier else ""
    kind = quoteattr(each.extension)
    return (
        f"    <dependency org={quoteattr(each.organisation)} name={quoteattr(each.name)}"
        f' rev={quoteattr(each.version)} transitive="{mode}" conf="default->default">'
        f"<artifact name={quoteattr(each.name)} type={kind} ext={kind}{classifier}/></dependency>"
    )
