"""One measurement to make, as it is handed to the process that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processor.avro.contracts import CONTRACTS
from processor.config import Config, load

LOOP = """loop: bench
model: another
task: classification
outcome: {metric: known, from: ground_truth, window: 14d}
slices: []
datasets: []
rules: []
"""
"""A loop about a model that the events are not of: there has to be one."""


@dataclass
class Job:
    """Which way, on which topic of which broker, the folder that is its own, and more settings."""

    way: str
    topic: str
    servers: str
    folder: str
    more: str = ""

    def config(self) -> Config:
        """The shipped defaults, on this broker; schemas come from a folder."""
        return load(self.file())

    def file(self) -> Path:
        """The configuration as a file, written anew."""
        home = Path(self.folder).resolve()
        (home / "loops").mkdir(parents=True, exist_ok=True)
        (home / "loops" / "bench.yaml").write_text(LOOP, encoding="utf-8")
        path = home / "bfp.yaml"
        path.write_text(
            f"warehouse: {home / 'warehouse'}\n"
            f"report: {home / 'report'}\n"
            f"loops: {home / 'loops'}\n"
            f"kafka: {{bootstrap_servers: '{self.servers}'}}\n"
            f"topics: {{inferences: {self.topic}}}\n"
            f"registry: {{url: null, directory: {schemas(home / 'schemas')}}}\n" + self.more,
            encoding="utf-8",
        )
        return path


def schemas(folder: Path) -> Path:
    """A folder that knows the events' schema by the id that they name."""
    folder.mkdir(parents=True, exist_ok=True)
    text = (CONTRACTS / "InferenceEvent.avsc").read_text(encoding="utf-8")
    (folder / "InferenceEvent.avsc").write_text(text, encoding="utf-8")
    (folder / "index.json").write_text('{"1": "InferenceEvent.avsc"}', encoding="utf-8")
    return folder
