"""What a dataset may ask of a session, and what is refused, and how."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from processor.config import load
from processor.errors import ConfigError
from processor.loops import EnrichConfig

LOOP = {
    "loop": "chat",
    "model": "bot",
    "outcome": {"metric": "helpful", "signal": "thumbs", "window": "1d"},
    "slices": ["sex"],
}


def enrich(folder: Path, told: Mapping[str, object]) -> EnrichConfig:
    loop = {**LOOP, "datasets": [{"name": "d", "enrich": told}]}
    (folder / "chat.yaml").write_text(yaml.safe_dump(loop))
    (dataset,) = load(None, [f"loops={folder}"], {}).only("chat").datasets
    return dataset.enrich


def test_fields_and_attributes_can_be_asked_for(tmp_path: Path) -> None:
    asked = ["country", "device", "locale", "app_version", "channel", "attributes.tier"]
    found = enrich(tmp_path, {"session": asked, "max_age": "1d", "tolerance": "5s"})
    assert list(found.session) == asked
    assert (found.max_age, found.tolerance) == (timedelta(days=1), timedelta(seconds=5))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"session": ["protected_attributes.sex"]}, "protected: such attributes never become"),
        ({"session": ["protected_attributes"]}, "protected: such attributes never become"),
        ({"session": ["attributes.sex"]}, "one of the loop's slices"),
        ({"session": ["contry"]}, "did you mean 'country'"),
        ({"session": ["attributes."]}, "a session has no 'attributes.'"),
        ({"session": ["tier"]}, "use one of app_version"),
        ({"session": ["country", "country"]}, "is there twice"),
        ({"max_age": "0s"}, "greater than"),
        ({"sesion": ["country"]}, "did you mean 'session'"),
    ],
)
def test_what_cannot_be_had_is_refused(
    tmp_path: Path, told: Mapping[str, object], why: str
) -> None:
    with pytest.raises(ConfigError, match="dataset") as refusal:
        enrich(tmp_path, told)
    assert why in str(refusal.value)
    assert refusal.value.exit_code == 2
