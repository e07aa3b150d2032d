"""A program in the background: started once, found again by its folder, and stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from processor.errors import Unavailable

GUARD = Path(__file__).parent / "guard.sh"
POLL_SECONDS = 0.05
STOP_SECONDS = 15.0  # how long a program may take to stop before it is made to
PORTS = range(20_000, 32_768)
"""Where services listen: below the ports that Linux and macOS give to connections."""
PORTS_TRIED = 100
STATE, LOG = "service.json", "output.log"
STDERR = 2  # its number, as the system has it
_TAIL = 2000  # characters of its output that an error shows


@dataclass(frozen=True)
class Service:
    """A running program: its folder, process group and ports."""

    folder: Path
    pid: int
    ports: Mapping[str, int]

    @property
    def alive(self) -> bool:
        """Whether that process is there and is this program, not another with a reused number."""
        try:
            process = psutil.Process(self.pid)
            mine = any(str(self.folder) in part for part in process.cmdline())
            return mine and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, ValueError, OverflowError):  # the note holds what is no number of one
            return False

    def stop(self) -> None:
        """Asks the program to stop, and makes it after `STOP_SECONDS`; its ports stay noted."""
        own = _own(self)
        if own is not None and own.stdin is not None:
            own.stdin.close()  # its guard asks it to stop, and ends after it
        else:
            self._signal(signal.SIGTERM)
        if not wait_for(lambda: not self.alive, STOP_SECONDS):
            self._signal(signal.SIGKILL)
            wait_for(lambda: not self.alive, STOP_SECONDS)

    def _signal(self, number: signal.Signals) -> None:
        if not self.alive:
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


def found(folder: Path) -> Service | None:
    """The program that runs on this folder; None where there is none, or only a stale note."""
    noted = remembered(folder)
    return noted if noted is not None and noted.alive else None


def remembered(folder: Path) -> Service | None:
    """The program that last ran on this folder, whether or not it still does."""
    try:
        raw = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return Service(folder, int(raw["pid"]), dict(raw["ports"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def start(
    folder: Path,
    command: Sequence[str | Path],
    ports: Mapping[str, int],
    environment: Mapping[str, str] | None = None,
    *,
    owned: bool,
) -> Service:
    """Starts a program in a process group of its own; if `owned`, it dies with us."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = [str(part) for part in command]
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own arguments
            ["/bin/sh", str(GUARD), *whole] if owned else whole,
            stdin=subprocess.PIPE if owned else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    _KEPT.append(process)
    service = Service(folder, process.pid, dict(ports))
    noted = {key: value for key, value in asdict(service).items() if key != "folder"}
    aside = folder / f"{STATE}.part"
    aside.write_text(json.dumps(noted), encoding="utf-8")
    aside.replace(folder / STATE)
    return service


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> int:
    """Runs a program to its end, which dies with us; all it says goes to stderr, stdout is ours."""
    process = subprocess.Popen(  # noqa: S603  # our own arguments
        ["/bin/sh", str(GUARD), *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=STDERR,
        env={**os.environ, **(environment or {})},
    )
    with process:
        return process.wait()


_KEPT: list[subprocess.Popen[bytes]] = []
"""Children of this process: an owned one lives as long as its handle's standard input is open."""


def wait_ready(service: Service, ready: Callable[[], bool], seconds: float, name: str) -> None:
    """Returns when the program answers.

    Raises:
        Unavailable: it ended, or did not answer in time; shows the end of its output.
    """
    if wait_for(lambda: ready() or not _running(service), seconds) and _running(service):
        return
    service.stop()
    output = (service.folder / LOG).read_text(encoding="utf-8", errors="replace")[-_TAIL:]
    raise Unavailable(
        f"the {name} did not start: {output.strip() or 'it said nothing'}",
        remedy=f"read {service.folder / LOG}, mend what it says, and try again",
    )


def _own(service: Service) -> subprocess.Popen[bytes] | None:
    return next((each for each in _KEPT if each.pid == service.pid), None)


def _running(service: Service) -> bool:
    own = _own(service)
    return service.alive if own is None else own.poll() is None


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for child in _KEPT:
            child.poll()
        if condition():
            return True
        time.sleep(POLL_SECONDS)
    return condition()


def answers(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port(preferred: int | None = None) -> int:
    """A port nobody listens on: the preferred one, if it is free.

    Else it is one that no connection is given while the program that wants it starts.
    """
    tried = random.SystemRandom().sample(PORTS, PORTS_TRIED)
    for port in tried if preferred is None else (preferred, *tried):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unavailable("this machine has no free port", remedy="end some programs, and try again")
