"""What the end-to-end tests look at: one demo, and one small world, each made once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from processor.local.stack import Stack
from tests.e2e.job import run
from tests.e2e.tables import Home
from tests.e2e.world import Site, World
from tests.small import AROUND

PERSONS = 3000  # a year
LIMIT = 600  # seconds


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A demo of a smaller world, from nothing to its end."""
    home = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "processor", "demo"]
    done = subprocess.run(
        [*command, "--persons", str(PERSONS), "--home", str(home), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        env={**os.environ, **AROUND},
    )
    assert done.returncode == 0, done.stderr
    return Home(home, json.loads(done.stdout))


@pytest.fixture(scope="session")
def world(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A few hundred persons on topics of their own."""
    return World.produced(stack, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def undisturbed(world: World) -> Site:
    """A warehouse that one run filled, from beginning to end."""
    site = world.site("undisturbed")
    done = run(site.config)
    assert done.returncode == 0, done.stderr
    return site
