"""What tests share: a real broker and registry, and an end when the process above them ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from processor.local.attached import TERMINATED, end_with_parent
from processor.local.stack import Stack, running


def pytest_configure() -> None:
    """Who kills make kills the tests: pytest takes a SystemExit for one more failed test."""
    end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", TERMINATED))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker and a registry of this session's own, started when a test first asks for them."""
    with running(tmp_path_factory.mktemp("stack"), lambda _: None) as services:
        yield services
