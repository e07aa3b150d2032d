"""What a version keeps of its loop file is read again as it was."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import yaml

from processor.config import load
from processor.stages.recipes import again, kept, recipes

LOOP = {
    "loop": "l",
    "model": "m",
    "outcome": {
        "metric": "good",
        "from": "ground_truth",
        "window": "14d",
        "grace": "1h",
        "late": "735d",
    },
    "datasets": [
        {
            "name": "d",
            "split": {"by": "time", "test_from": "2024-03-01", "embargo": "15d"},
            "enrich": {"session": ["country"], "max_age": "90s", "tolerance": "0s"},
        }
    ],
}


def test_spans_are_read_again_as_manifests_keep_them(tmp_path: Path) -> None:
    (tmp_path / "l.yaml").write_text(yaml.safe_dump(LOOP), encoding="utf-8")
    (source,) = recipes(load(None, [f"loops={tmp_path}"], {}))
    told = json.loads(json.dumps(kept(source)))
    outcome, dataset = told["loop"]["outcome"], told["dataset"]
    spans = (outcome["window"], outcome["grace"], outcome["late"], dataset["split"]["embargo"])
    assert spans == ("P14D", "PT1H", "P2Y5D", "P15D")
    assert (dataset["enrich"]["max_age"], dataset["enrich"]["tolerance"]) == ("PT1M30S", "PT0S")
    found = again(told, "the manifest").loop
    assert found.outcome == source.loop.outcome
    assert found.outcome.late == timedelta(days=735)
    assert found.datasets == source.loop.datasets
