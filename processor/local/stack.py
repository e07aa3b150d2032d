"""Broker and registry together: up, down, status; their data are kept between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from processor.errors import Unavailable
from processor.local.broker import start_broker
from processor.local.places import cache_dir
from processor.local.registry import start_registry, url_of
from processor.local.service import Service, found


class Starter(Protocol):
    """Starts a service on the data of a folder, with the jars of a cache."""

    def __call__(
        self, folder: Path, cache: Path, say: Callable[[str], None], *, owned: bool
    ) -> Service:
        """Returns when it answers; raises Unavailable where it does not."""


STARTERS: dict[str, Starter] = {"kafka": start_broker, "registry": start_registry}


@dataclass(frozen=True)
class Stack:
    """Where the two services answer."""

    bootstrap_servers: str
    registry_url: str


def up(home: Path, say: Callable[[str], None], *, owned: bool = False) -> Stack:
    """Starts what does not run yet; what runs stays.

    Raises:
        Unavailable: one of them does not start; what was started before it is stopped again.
    """
    started: list[Service] = []
    services: dict[str, Service] = {}
    try:
        for name, starter in STARTERS.items():
            running = found(_folder(home, name))
            if running is None:
                say(f"starting {name}")
                running = _started(starter, _folder(home, name), say, owned=owned)
                started.append(running)
            services[name] = running
    except BaseException:
        for service in started:
            service.stop()
        raise
    return _stack(services)


def _started(starter: Starter, folder: Path, say: Callable[[str], None], *, owned: bool) -> Service:
    try:
        return starter(folder, cache_dir(), say, owned=owned)
    except OSError as error:
        raise Unavailable(
            f"nothing can be started in {folder}: {error}",
            remedy="name a folder that may be written, on a disk with room",
        ) from error


def down(home: Path) -> list[str]:
    """Stops what runs; the names of what was stopped. Data stay."""
    stopped = []
    for name in reversed(STARTERS):
        running = found(_folder(home, name))
        if running is not None:
            running.stop()
            stopped.append(name)
    return stopped


def status(home: Path) -> dict[str, Any]:
    """What runs, and where: by service, `running`, `pid` and `address`."""
    services = {name: found(_folder(home, name)) for name in STARTERS}
    return {
        name: {"running": False, "pid": None, "address": None}
        if service is None
        else {"running": True, "pid": service.pid, "address": _address(name, service)}
        for name, service in services.items()
    }


@contextmanager
def running(home: Path, say: Callable[[str], None]) -> Iterator[Stack]:
    """Broker and registry while the block runs; they end with it, and with this process.

    What a process that was killed left running on `home` is stopped first.
    """
    down(home)
    try:
        yield up(home, say, owned=True)
    finally:
        down(home)


def _folder(home: Path, name: str) -> Path:
    return home.resolve() / name


def _stack(services: dict[str, Service]) -> Stack:
    address = {name: _address(name, service) for name, service in services.items()}
    return Stack(address["kafka"], address["registry"])


def _address(name: str, service: Service) -> str:
    return url_of(service) if name == "registry" else f"127.0.0.1:{service.ports['client']}"
