"""The report in its folder: each file is there wholly, the old one or the new one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from processor.errors import Unavailable
from processor.report import lineage
from processor.report.metrics import metrics
from processor.report.page import page

DATA, PAGE, METRICS = "report.json", "index.html", "metrics.prom"
LINEAGE = "lineage"
"""The folder of lineage events, a file for each batch: all are to be sent, not the last alone."""
READABLE = 0o644


def write(folder: Path, document: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Path:
    """Writes the JSON, the page, the metrics and the batch's lineage, all aside first.

    Returns where the page is.

    Raises:
        Unavailable: the folder cannot be written; what was there before is still there.
    """
    data = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    texts = {DATA: f"{data}\n", PAGE: page(document), METRICS: metrics(document)}
    texts[f"{LINEAGE}/{document['batch']:06d}.jsonl"] = lineage.text(events)
    aside: dict[str, Path] = {}
    try:
        (folder / LINEAGE).mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            aside[name] = _put_aside(folder, name, text)
        for name, path in aside.items():
            path.replace(folder / name)
    except OSError as error:
        raise Unavailable(
            f"the report cannot be written to {folder}: {error.strerror or error}",
            remedy="make room and allow writing there, or set `report` to another folder",
        ) from error
    finally:
        for path in aside.values():
            path.unlink(missing_ok=True)
    return folder / PAGE


def _put_aside(folder: Path, name: str, text: str) -> Path:
    """A file of its own, on disk, that a rename will put in its place."""
    place = folder / name
    number, raw = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    path = Path(raw)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(READABLE)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path
