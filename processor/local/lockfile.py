"""The lock of what is fetched: every file by name, version and SHA-256."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

LOCK = Path(__file__).parent / "jars.lock.json"
GROUPS = ("spark", "delta", "broker", "registry")
_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, order=True)
class Artifact:
    """One file of a Maven repository, and the only content of it that is accepted."""

    organisation: str
    name: str
    version: str
    sha256: str = ""
    classifier: str = ""
    extension: str = "jar"

    @property
    def file(self) -> str:
        """What the file is called."""
        tail = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{tail}.{self.extension}"


def locked(group: str) -> list[Artifact]:
    """The files of one group."""
    raw = json.loads(LOCK.read_text(encoding="utf-8"))
    return [Artifact(**each) for each in raw[group]]


def write(groups: dict[str, list[Artifact]]) -> None:
    """Replaces the lock."""
    raw = {name: [_short(each) for each in sorted(files)] for name, files in groups.items()}
    LOCK.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


def _short(artifact: Artifact) -> dict[str, str]:
    defaults = asdict(Artifact("", "", ""))
    return {k: v for k, v in asdict(artifact).items() if v != defaults[k]}


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
