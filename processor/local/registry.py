"""One schema registry (Apicurio, which speaks the Confluent API), its schemas kept in a folder."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from processor.errors import Unavailable
from processor.local.jars import ensure
from processor.local.java import SMALL_JVM, java
from processor.local.service import Service, free_port, remembered, start, wait_ready

API = "/apis/ccompat/v7"  # the Confluent API, below the registry's root
HEAP = "512m"
START_SECONDS = 90.0
_PROBE_SECONDS = 2.0


def url_of(service: Service) -> str:
    """What `registry.url` is set to."""
    return f"http://127.0.0.1:{service.ports['http']}{API}"


def start_registry(
    folder: Path, cache: Path, say: Callable[[str], None], *, owned: bool
) -> Service:
    """Starts the registry on the schemas of `folder`.

    Raises:
        Unavailable: it does not start.
    """
    runner = _unpacked(ensure("registry", cache, say)[0])
    before = remembered(folder)
    port = free_port(before.ports.get("http") if before else None)
    settings = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": str(port),
        "quarkus.log.level": "WARN",
        "java.io.tmpdir": str(folder),
        "bfp.folder": str(folder),
    }
    folder.mkdir(parents=True, exist_ok=True)
    service = start(
        folder,
        [
            *(java(), f"-Xmx{HEAP}", *SMALL_JVM),
            *(f"-D{key}={value}" for key, value in settings.items()),
            *("-jar", runner),
        ],
        {"http": port},
        {"REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{folder}/schemas"},
        owned=owned,
    )
    wait_ready(service, lambda: _answers(service), START_SECONDS, "schema registry")
    return service


def _answers(service: Service) -> bool:
    try:
        with urlopen(f"{url_of(service)}/subjects", timeout=_PROBE_SECONDS) as said:  # noqa: S310  # our own http address
            return bool(said.status == 200)  # noqa: PLR2004  # OK
    except (URLError, OSError):
        return False


def _unpacked(archive: Path) -> Path:
    """The program that the archive holds, unpacked beside it once, and whole or not at all."""
    folder = archive.parent / archive.name.removesuffix(".tar.gz")
    if not folder.is_dir():
        aside = Path(tempfile.mkdtemp(dir=archive.parent, prefix=".unpack-"))
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(aside, filter="data")
            _placed(aside, folder)
        except (OSError, tarfile.TarError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise Unavailable(
                f"{archive} cannot be unpacked: {error}", remedy="make room, and try again"
            ) from error
    return next(folder.glob("*-runner.jar"))


def _placed(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(aside)  # another process was quicker
