"""The guide to enrichment: its loop file shows the defaults, and it names what can be asked for."""

from __future__ import annotations

import re
from pathlib import Path

from processor.config import load
from processor.loops import SESSION_FIELDS, EnrichConfig
from processor.measure.violations import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "guide" / "enrichment.md").read_text(encoding="utf-8")


def test_the_loop_file_shows_the_defaults(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "assistant.yaml").write_text(block, encoding="utf-8")
    (dataset,) = load(None, [f"loops={tmp_path}"], {}).only("assistant").datasets
    told = dataset.enrich
    assert told.model_fields_set == set(EnrichConfig.model_fields)
    assert told == EnrichConfig(session=told.session)


def test_every_field_and_measurement_is_in_the_guide() -> None:
    for name in (*SESSION_FIELDS, *(f"features.{kind}" for kind in KINDS)):
        assert f"`{name}`" in TEXT
