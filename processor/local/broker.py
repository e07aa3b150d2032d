"""One Kafka node (KRaft), its data kept in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from processor.errors import Unavailable
from processor.local.jars import ensure
from processor.local.java import SMALL_JVM, java
from processor.local.service import Service, answers, free_port, remembered, start, wait_ready

CLUSTER_ID = "bfpLocalBrokerAAAAAAAA"  # 22 characters of base64
HEAP = "768m"
START_SECONDS = 60.0
FORMAT_SECONDS = 60.0


def start_broker(folder: Path, cache: Path, say: Callable[[str], None], *, owned: bool) -> Service:
    """Starts the broker on the data of `folder`, formatted first where there are none.

    Raises:
        Unavailable: it does not start.
    """
    jars = ensure("broker", cache, say)
    classpath = f"{jars[0].parent}/*"
    before = remembered(folder)
    old = before.ports if before else {}
    ports = {name: free_port(old.get(name)) for name in ("client", "controller")}
    settings = folder / "server.properties"
    folder.mkdir(parents=True, exist_ok=True)
    settings.write_text(_properties(folder / "data", ports), encoding="utf-8")
    if not (folder / "data" / "meta.properties").is_file():
        _format(classpath, settings)
    logs = f"-Dlog4j2.configurationFile={Path(__file__).parent / 'log4j2.properties'}"
    service = start(
        folder,
        [
            java(),
            f"-Xmx{HEAP}",
            *SMALL_JVM,
            logs,
            "-cp",
            classpath,
            "kafka.Kafka",
            settings,
        ],
        ports,
        owned=owned,
    )
    wait_ready(service, lambda: answers(ports["client"]), START_SECONDS, "Kafka broker")
    return service


def _properties(data: Path, ports: dict[str, int]) -> str:
    client, controller = f"127.0.0.1:{ports['client']}", f"127.0.0.1:{ports['controller']}"
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{client}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "true",  # to try a producer by hand needs no second tool
        "num.partitions": "4",
        "log.cleaner.backoff.ms": "1000",  # compacted topics are compacted while one watches
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def _format(classpath: str, settings: Path) -> None:
    tool = ["-cp", classpath, "kafka.tools.StorageTool", "format"]
    ran = subprocess.run(  # noqa: S603  # our own arguments
        [java(), *tool, "-t", CLUSTER_ID, "-c", settings],
        capture_output=True,
        text=True,
        check=False,
        timeout=FORMAT_SECONDS,
    )
    if ran.returncode:
        raise Unavailable(
            f"the broker's folder cannot be made ready: {(ran.stderr or ran.stdout).strip()}",
            remedy=f"check that {settings.parent} may be written and has room, and try again",
        )
