"""Files of loops: what is found in them, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processor.errors import ConfigError
from tests.unit.config.own import LOOP, loaded

STARS = "{metric: stars, signal: rating, window: 1d"  # and what is told besides


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ruls: []", "unknown key 'ruls': did you mean 'rules'?"),
        ("outcome: {metric: m, from: ground_truth, windw: 1d}", "did you mean 'window'?"),
        ("outcome: {metric: m, source: clicks, window: 1d}", "outcome"),
        ("datasets: [{name: d, sead: 1}]", "did you mean 'seed'?"),
        ("datasets: [{name: Not Allowed}]", "datasets.0.name"),
        ("evaluation: {margin: 0, slice_margin: 1}", "evaluation.margin"),
    ],
)
def test_what_is_wrong_in_a_loop_is_named_with_its_file(folder: Path, text: str, said: str) -> None:
    key = text.partition(":")[0]
    kept = [line for line in LOOP.format(name="a").splitlines() if not line.startswith(f"{key}:")]
    path = folder / "loops" / "a.yaml"
    path.write_text("\n".join([*kept, text]), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        loaded(folder)
    assert said in refused.value.what
    assert str(path) in refused.value.remedy


def test_loops_are_found_by_name_and_refused_twice(folder: Path) -> None:
    second = folder / "loops" / "b.yaml"
    second.write_text(LOOP.format(name="b"), encoding="utf-8")
    config = loaded(folder)
    assert sorted(config.loop) == ["a", "b"]
    assert config.only("b").loop == "b"
    with pytest.raises(ConfigError) as unknown:
        config.only("bb")
    assert (unknown.value.what, unknown.value.remedy) == ("unknown loop 'bb'", "did you mean 'b'?")
    second.write_text(LOOP.format(name="a"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"b\.yaml: the loop 'a' is there twice"):
        loaded(folder)


def test_no_loop_and_no_folder_are_refused(folder: Path) -> None:
    (folder / "loops" / "a.yaml").unlink()
    with pytest.raises(ConfigError, match=f"no loop in {folder / 'loops'}"):
        loaded(folder)
    with pytest.raises(ConfigError, match="is no folder"):
        loaded(folder, "", f"loops={folder / 'none'}")


def test_a_reference_is_found_beside_its_loop(folder: Path) -> None:
    path = folder / "loops" / "a.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}reference: {{model_version: '1', path: r.parquet}}\n", encoding="utf-8")
    found = loaded(folder).loop["a"].reference
    assert found is not None
    assert found.path == folder / "loops" / "r.parquet"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slices: [sex, sex]", "a name is there twice"),
        ("slices: ['']", "a name is empty"),
        ("windows: [batch, batch]", "a name is there twice"),
        ("datasets: [{name: d, formats: []}]", r"formats: it has to be a list of at least 1$"),
        ("datasets: [{name: d, late: maybe}]", "late: it has to be 'leave' or 'use'$"),
        ("datasets: [{name: d, split: 5}]", "datasets.0.split: it has to be keys with values$"),
        ("datasets: [{name: D}]", "datasets.0.name: use a-z, 0-9 and -, a letter or digit first$"),
        ("datasets: [{name: d, leakage: {limits: {x: 1}}}]", "limits.x: it has to be 'subject', "),
        ("outcomes: {a: 1}", "outcomes: it has to be a list$"),
        ("min_slice_rows: 1.5", "min_slice_rows: it has to be a whole number$"),
        ("min_slice_rows: many", "min_slice_rows: it has to be a whole number$"),
        ("min_slice_rows: 0", "min_slice_rows: it has to be greater than 0$"),
        ("evaluation: {margin: a, slice_margin: 1}", "evaluation.margin: it has to be a number$"),
        ("evaluation: {margin: 1}", "evaluation.slice_margin: it is missing$"),
        ("reference: {model_version: 1, path: p}", "model_version: it has to be a text$"),
        ("reference: {model_version: '', path: p}", "has to be a text that is not empty$"),
        ("outcomes: [{metric: '', signal: flag, window: 1d}]", "outcomes.0.metric: .* not empty$"),
        (f"outcomes: [{STARS}, default: maybe}}]", "default: it has to be 'negative' or null$"),
        (f"outcomes: [{STARS}, scale: [1, 2, 3]}}]", "scale: it has to be a list of at most 2$"),
        (f"outcomes: [{STARS}, session_gap: 0s}}]", "session_gap: it has to be greater than 0s$"),
        ("datasets: [{name: d, seed: 9223372036854775808}]", "less than 9223372036854775808"),
        ("arrivals: {burst_factor: .inf}", "finite number"),
        (f"outcomes: [{STARS}, scale: [5, 1]}}]", r"outcomes.0.scale: \[5.0, 1.0\] has no length"),
        (f"outcomes: [{STARS}, scale: [1, 1]}}]", r"\[1.0, 1.0\] has no length"),
        (f"outcomes: [{STARS}, scale: [1]}}]", "outcomes.0.scale.1: it is missing"),
        (f"outcomes: [{STARS}, scale: [1, .nan]}}]", "outcomes.0.scale.1.*finite number"),
        (f"outcomes: [{STARS}, scale: [no, 5]}}]", "outcomes.0.scale.*no true or false"),
        ("min_slice_rows: true", "min_slice_rows.*a number is no true or false"),
        (f"outcomes: [{STARS}, positive: a, negative: a}}]", "outcomes.0.*positive.*both 'a'"),
        (f"outcomes: [{STARS}, positive: 'false', threshold: 0.5}}]", "both 'false'"),
        (f"outcomes: [{STARS}, positive: 'false', default: negative}}]", "write another"),
    ],
)
def test_a_loop_that_makes_no_sense_is_refused(folder: Path, text: str, said: str) -> None:
    path = folder / "loops" / "a.yaml"
    path.write_text(LOOP.format(name="a") + text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        loaded(folder)
    assert re.search(said, refused.value.what)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("model: classifier", "model: ''", "model: it has to be a text that is not empty"),
        ("loop: a", "loop: ''", "loop: use a-z, 0-9, _ and -, a letter or digit first"),
        ("metric: employed", "metric: ''", "outcome.metric: it has to be a text that is not empty"),
        ("window: 14d", "windw: 14d", "outcome.window: it is missing; unknown key"),
    ],
)
def test_what_has_no_name_is_refused(folder: Path, before: str, after: str, said: str) -> None:
    text = LOOP.format(name="a")
    (folder / "loops" / "a.yaml").write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        loaded(folder)
    assert refused.value.what.startswith(said)


def test_an_objection_may_be_negative_where_nothing_else_is_named_so(folder: Path) -> None:
    """`negative` names what is below a threshold, and silence; a flag alone has neither."""
    path = folder / "loops" / "a.yaml"
    flags = "outcomes: [{metric: flagged, signal: flag, window: 1d, positive: 'false'}]"
    path.write_text(LOOP.format(name="a") + flags, encoding="utf-8")
    assert loaded(folder).loop["a"].outcomes[0].positive == "false"
