"""A file of configuration with one loop, and what is read of it."""

from __future__ import annotations

from pathlib import Path

from processor.config import Config, load

LOOP = """
loop: {name}
model: classifier
outcome: {{metric: employed, from: ground_truth, window: 14d}}
rules: [{{rule: volume, new_rows: 10}}]
"""
NOWHERE: dict[str, str] = {}


def written(folder: Path, text: str) -> Path:
    path = folder / "own.yaml"
    path.write_text("loops: loops\n" + text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str = "", *flags: str, **environment: str) -> Config:
    return load(written(folder, text), flags, {**NOWHERE, **environment})
