"""The guide to loop files: it has every key of every section, with its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel, TypeAdapter

from processor.datasets.requests import RequestsConfig
from processor.loops import LoopConfig
from processor.sections import EARLIEST_YEAR, LATEST_YEAR, LONGEST, Duration, Section, Time, kinds
from tests.unit.key_tables import GUIDE, fields, holds, table

TEXT = (GUIDE / "loop-file.md").read_text(encoding="utf-8")
TRIGGERS = (GUIDE / "triggers.md").read_text(encoding="utf-8")
PLACES = {
    "LoopConfig": (TEXT, "The loop"),
    "OutcomeConfig": (TEXT, "outcome"),
    "ReferenceConfig": (TEXT, "reference"),
    "DatasetConfig": (TEXT, "datasets"),
    "SplitConfig": (TEXT, "datasets.split"),
    "LeakageConfig": (TEXT, "datasets.leakage"),
    "TrustConfig": (TEXT, "datasets.sources"),
    "EnrichConfig": (TEXT, "datasets.enrich"),
    "LabelsConfig": (TEXT, "datasets.labels"),
    "RequestsConfig": (TEXT, "label_requests"),
    "ArrivalsConfig": (TEXT, "arrivals"),
    "SourcesConfig": (TEXT, "sources"),
    "EvaluationConfig": (TRIGGERS, "What becomes of a candidate"),
}
"""Where the keys of each section are."""


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model, and those that its fields hold, however deep."""
    yield model
    for field in model.model_fields.values():
        for kind in kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from sections(kind)


FOUND: list[type[BaseModel]] = [*sections(LoopConfig), RequestsConfig]
MODELS = {each.__name__: each for each in FOUND}
"""`label_requests` is read by the policies' own models, and its section found by no field."""


def test_every_section_has_a_place() -> None:
    assert MODELS.keys() == PLACES.keys()


@pytest.mark.parametrize("name", MODELS)
def test_every_key_is_there_with_its_default(name: str) -> None:
    told, known = table(*PLACES[name]), fields(MODELS[name])
    assert told.keys() == known.keys()
    for key, default in told.items():
        assert holds(default, known[key]), f"{key}: the guide says {default}"
        assert f"`{key}`" in TEXT


def test_spans_and_times_are_read_as_it_shows() -> None:
    (spans,) = re.findall(r"^\| a span \| (.*) \|$", TEXT, re.MULTILINE)
    read = [TypeAdapter(Duration).validate_python(each) for each in re.findall(r"`(.*?)`", spans)]
    hour = timedelta(hours=1)
    assert read == [hour / 40, hour / 2, 36 * hour, 336 * hour, 336 * hour, 0 * hour, LONGEST]
    (times,) = re.findall(r"^\| a time \| (.*) \|$", TEXT, re.MULTILINE)
    moments = [TypeAdapter(Time).validate_python(each) for each in re.findall(r"`(.*?)`", times)]
    assert moments == [datetime(2017, 6, 1, clock, tzinfo=UTC) for clock in (0, 12)]
    assert f"in the years {EARLIEST_YEAR} to {LATEST_YEAR}" in times
