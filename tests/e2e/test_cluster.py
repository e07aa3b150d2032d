"""The same job on a real standalone cluster, as the README submits it, gives the same tables."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
import pytest

from processor.local.jars import ROOTS, ensure
from processor.local.places import cache_dir
from processor.local.service import Service, free_port, start, wait_for
from tests.e2e.sameness import same
from tests.e2e.world import ROOT, Site, World
from tests.small import FOR_MINUTES, LITTLE

LIMIT = 300.0  # seconds
SPARK = Path(pyspark.__file__).parent
SMALL = {
    **LITTLE,
    "spark.executor.memory": "1g",
    "spark.executor.defaultJavaOptions": FOR_MINUTES,
    "spark.locality.wait": "0",
}
QUIET = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}


@dataclass(frozen=True)
class Cluster:
    """A Master, and what it says of itself."""

    url: str
    page: str
    home: Path

    def told(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.page, timeout=LIMIT) as answer:  # noqa: S310  # our own
            found: dict[str, Any] = json.load(answer)
            return found

    def has_worker(self) -> bool:
        try:
            return bool(self.told()["aliveworkers"])
        except OSError:
            return False


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Master and a Worker of pip's pyspark, each a process that ends with this one."""
    home = tmp_path_factory.mktemp("cluster")
    port, page = free_port(), free_port()
    made = Cluster(f"spark://127.0.0.1:{port}", f"http://127.0.0.1:{page}/json/", home)
    at = ("--host", "127.0.0.1", "--port", port, "--webui-port", page)
    worker = ("--host", "127.0.0.1", "--webui-port", 0, "--cores", 2, "--memory", "2g")
    services = [
        begun(home / "master", "master.Master", *at),
        begun(home / "worker", "worker.Worker", *worker, "-d", home / "work", made.url),
    ]
    try:
        assert wait_for(made.has_worker, LIMIT), (home / "worker" / "output.log").read_text()
        yield made
    finally:
        for service in reversed(services):
            service.stop()


def begun(folder: Path, name: str, *words: object) -> Service:
    folder.mkdir()
    settings = folder / "spark.conf"
    settings.write_text("spark.ui.enabled false\n", encoding="utf-8")
    command = [str(SPARK / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
    command += ["--properties-file", str(settings), *map(str, words)]
    return start(folder, command, {}, QUIET, owned=True)


def submit(cluster: Cluster, config: Path) -> list[str]:
    """The README's command, on this cluster, with the locked jars in place of fetched ones."""
    shown = re.search(
        r"<!-- spark-submit -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert shown is not None
    words = shlex.split(shown[1].replace("\\\n", " "))
    setting, program, *rest = words
    assert (setting, program) == ("PYSPARK_PYTHON=.venv/bin/python", "spark-submit")
    packages = rest.index("--packages")
    assert sorted(rest[packages + 1].split(",")) == sorted(
        f"{each.organisation}:{each.name}:{each.version}" for each in ROOTS["spark"]
    )
    jars = ",".join(str(jar) for jar in ensure("spark", cache_dir()))
    rest[packages : packages + 2] = ["--jars", jars]
    replaced = {"spark://host:7077": cluster.url, "bfp.yaml": str(config)}
    assert replaced.keys() <= set(rest)
    settings = {**SMALL, "spark.local.dir": str(cluster.home / "scratch")}
    small = [word for pair in settings.items() for word in ("--conf", "=".join(pair))]
    return [str(SPARK / "bin" / "spark-submit"), *small, *(replaced.get(w, w) for w in rest)]


def test_the_readmes_command_gives_the_tables_of_one_machine(
    cluster: Cluster, world: World, undisturbed: Site
) -> None:
    site = world.site("cluster")
    done = subprocess.run(
        [*submit(cluster, site.config), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        cwd=ROOT,
        env={**os.environ, **QUIET, "PYSPARK_PYTHON": sys.executable},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    document = done.stdout[done.stdout.index("\n{") :]  # spark-submit puts all that is said there
    assert json.loads(document)["outcome"] == "done"
    same(site, undisturbed)
    (application,) = cluster.told()["completedapps"]
    assert (application["name"], application["state"]) == ("bfp", "FINISHED")
    assert list((cluster.home / "work").glob("app-*/0/stderr")), "an executor ran"
