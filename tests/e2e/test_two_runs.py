"""Two runs on one warehouse: one wins, the other leaves nothing; a stopped one never wakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from functools import partial

from tests.e2e.job import LIMIT, POLL_SECONDS, command, committed, run, started
from tests.e2e.sameness import same
from tests.e2e.world import Site, World
from tests.small import AROUND

ROUNDS = int(os.environ.get("BFP_SOAK_ROUNDS", "1"))
LEASE_SECONDS = 1.0


def both(site: Site) -> list[tuple[int, str]]:
    """Two runs, started at once: how each ended, and what it said."""
    runs = [
        subprocess.Popen(
            command(site.config),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **AROUND},
        )
        for _ in range(2)
    ]
    said = [each.communicate(timeout=LIMIT)[0] for each in runs]
    return sorted((each.returncode, out) for each, out in zip(runs, said, strict=True))


def test_of_two_runs_at_once_one_wins_and_the_other_leaves_nothing(
    world: World, undisturbed: Site
) -> None:
    for number in range(ROUNDS):
        site = world.site(f"contended{number}")
        (won, _), (lost, said) = both(site)
        assert (won, lost) == (0, 5)
        refused = json.loads(said)
        assert (refused["error"], refused["retryable"]) == ("BatchHeld", True)
        same(site, undisturbed)


def test_a_run_that_was_stopped_past_its_lease_never_commits_again(
    world: World, undisturbed: Site
) -> None:
    site = world.site("stopped")
    lease = ("--set", f"batch.lease={LEASE_SECONDS:.0f}s")
    landed = partial(committed, site.warehouse, "log", "snapshot/log")
    with started(site.config, *lease) as (process, said):
        until = time.monotonic() + LIMIT
        while not landed():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(POLL_SECONDS)
        os.killpg(process.pid, signal.SIGSTOP)
        held = run(site.config)
        assert held.returncode == 5, held.stderr  # the default lease has not passed
        while time.time() - (site.warehouse / ".bfp.lock").stat().st_mtime <= LEASE_SECONDS:
            time.sleep(POLL_SECONDS)
        done = run(site.config, *lease)
        assert done.returncode == 0, done.stderr
        assert process.wait(LIMIT) == -signal.SIGKILL
    same(site, undisturbed)
