"""Configuration: what wins, what is refused, and what is said about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processor.checked import checked, section_of
from processor.config import Config, load
from processor.errors import ConfigError
from processor.layers import read
from processor.resources import resource
from processor.sections import Secret, parse_duration, revealed
from processor.triggers.rules.drift import Params

STARS = "{metric: stars, signal: rating, window: 1d"  # and what is told besides
LOOP = """
loop: {name}
model: classifier
outcome: {{metric: employed, from: ground_truth, window: 14d}}
rules: [{{rule: volume, new_rows: 10}}]
"""
NOWHERE: dict[str, str] = {}
MOMENT = timedelta(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "a.yaml").write_text(LOOP.format(name="a"), encoding="utf-8")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "own.yaml"
    path.write_text("loops: loops\n" + text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str = "", *flags: str, **environment: str) -> Config:
    return load(written(folder, text), flags, {**NOWHERE, **environment})


def test_each_layer_wins_over_those_before_it_key_by_key(folder: Path) -> None:
    name = "BFP__KAFKA__BOOTSTRAP_SERVERS"
    default = loaded(folder)
    assert default.kafka.bootstrap_servers == "localhost:9092"
    text = "kafka: {bootstrap_servers: file:1, properties: {client.id: bfp}}"
    flag = "kafka.bootstrap_servers=flag:1"
    by_file = loaded(folder, text)
    by_environment = loaded(folder, text, **{name: "environment:1"})
    by_flag = loaded(folder, text, flag, **{name: "environment:1"})
    tried = (by_file, by_environment, by_flag)
    assert [c.kafka.bootstrap_servers for c in tried] == ["file:1", "environment:1", "flag:1"]
    for each in tried:
        assert each.kafka.properties == {"client.id": "bfp"}
        assert each.kafka.timeout == default.kafka.timeout == timedelta(seconds=10)
    assert loaded(folder, "", flag, "kafka.bootstrap_servers=second:1").kafka == (
        loaded(folder, "", "kafka.bootstrap_servers=second:1").kafka
    )


def test_an_empty_environment_is_empty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFP__KAFKA__BOOTSTRAP_SERVERS", "outside:1")
    assert load(written(folder, ""), (), {}).kafka.bootstrap_servers == "localhost:9092"
    assert load(written(folder, "")).kafka.bootstrap_servers == "outside:1"


def test_every_shipped_key_is_known_and_every_known_section_is_shipped() -> None:
    shipped = read(resource("conf", "bfp.yaml"))
    assert set(shipped) == set(Config.model_fields) - {"loop"}
    for section in ("kafka", "registry", "topics", "outputs", "batch"):
        fields = section_of(Config.model_fields[section].annotation)
        assert fields is not None
        assert set(shipped[section]) == set(fields.model_fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafkas: {}", "unknown key 'kafkas': did you mean 'kafka'?"),
        ("kafka: {bootstrap_server: x}", "did you mean 'bootstrap_servers'?"),
        ("topics: {inference: x}", "unknown key 'topics.inference': did you mean 'inferences'?"),
        ("batch: {watermark_tolerance: soon}", "batch.watermark_tolerance"),
        ("loop: {}", "did you mean 'loops'?"),
        ("- a list", "not YAML"),
        ("kafka: [", "not YAML"),
        ("report: a\nreport: b", "the key 'report' is there twice"),
        ("kafka: {timeout: 1s, timeout: 2s}", "the key 'timeout' is there twice"),
        ("topics: {inferences: my topic}", "Kafka has no topic 'my topic'"),
        ("topics: {inferences: ..}", "Kafka has no topic '..'"),
        (f"outputs: {{datasets: {250 * 'a'}}}", "Kafka has no topic 'aaa"),
        ("topics: {inferences: a, feedback: a}", "the topic a has two meanings"),
        ("topics: {inferences: bfp.datasets}", "the topic bfp.datasets has two meanings"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_key_and_the_file(
    folder: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=r".") as refused:
        loaded(folder, text)
    assert said in str(refused.value)
    if "loop:" not in text:
        assert str(folder / "own.yaml") in str(refused.value)


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


def test_a_key_that_is_merged_may_be_said_again(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "a: &a {x: 1, y: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b, y: 3}\n", encoding="utf-8"
    )
    assert read(tmp_path / "own.yaml") == {
        "a": {"x": 1, "y": 1},
        "b": {"x": 2, "y": 1},
        "c": {"x": 2, "y": 3},
    }


def test_the_remedy_names_what_is_put_over_the_file_too(folder: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(folder, "", "kafka.timeout=soon")
    assert refused.value.remedy.startswith(f"edit {folder / 'own.yaml'}, or what --set")


def test_a_flag_without_a_value_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no value"):
        loaded(folder, "", "warehouse")


def test_a_file_that_is_not_there_or_holds_no_keys_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.yaml"):
        load(folder / "none.yaml", (), NOWHERE)
    (folder / "list.yaml").write_text("- a\n- b\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"list\.yaml holds no keys"):
        load(folder / "list.yaml", (), NOWHERE)


@pytest.mark.parametrize(
    "key", ["sasl.password", "ssl.key.password", "basic.auth.user.info", "sasl.oauth.client.SECRET"]
)
def test_a_secret_in_plain_text_is_refused_and_not_repeated(folder: Path, key: str) -> None:
    for section in ("kafka", "registry"):
        with pytest.raises(ConfigError, match="holds a secret") as refused:
            loaded(folder, f"{section}: {{properties: {{{key}: hunter2}}}}")
        assert key in refused.value.what
        assert "hunter2" not in str(refused.value)


def test_a_secret_comes_from_its_variable_or_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "key").write_text("of the file\n", encoding="utf-8")
    text = f"""
kafka:
  properties:
    sasl.password: {{env: BFP_TEST_SECRET}}
    ssl.key.password: {{file: {folder / "key"}}}
    enable.ssl.certificate.verification: true
    retries: 3
"""
    config = loaded(folder, text)
    with pytest.raises(ConfigError, match="BFP_TEST_SECRET"):
        revealed(config.kafka.properties)
    monkeypatch.setenv("BFP_TEST_SECRET", "of the variable")
    assert revealed(config.kafka.properties) == {
        "sasl.password": "of the variable",
        "ssl.key.password": "of the file",
        "enable.ssl.certificate.verification": "true",
        "retries": "3",
    }
    assert "of the variable" not in repr(config)
    with pytest.raises(ConfigError, match="no secret"):
        Secret(file=folder / "none").reveal()


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("36h", timedelta(hours=36)),
        ("14d", timedelta(days=14)),
        ("2w", timedelta(days=14)),
        (" 5 m ", timedelta(minutes=5)),
    ],
)
def test_durations(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["14", "d", "1.5h", "14y", "-3d", "3d 4h", ""])
def test_what_is_no_duration_is_left_to_be_refused(text: str) -> None:
    assert parse_duration(text) == text


NO_SPANS = ["1.5h", "1y", "d", "10", "0", "'10'", "1.5", "-10m", "10 min", "00:10:00", "Pxx", "[]"]


@pytest.mark.parametrize("text", NO_SPANS)
def test_what_is_no_duration_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(folder, "", f"batch.watermark_tolerance={text}")
    said = "batch.watermark_tolerance: a span is written as 14d, 36h, 30m or 90s"
    assert refused.value.what == said


def test_a_span_of_nothing_is_refused_where_it_makes_no_sense(folder: Path) -> None:
    assert loaded(folder, "", "batch.watermark_tolerance=0s").batch.watermark_tolerance == MOMENT
    for key in ("kafka.timeout", "registry.timeout"):
        with pytest.raises(ConfigError, match=f"{key}: .*greater than"):
            loaded(folder, "", f"{key}=0s")
    path = folder / "loops" / "a.yaml"
    path.write_text(LOOP.format(name="a").replace("14d", "14d, grace: 0s"), encoding="utf-8")
    assert loaded(folder).loop["a"].outcome.grace == MOMENT
    path.write_text(LOOP.format(name="a").replace("14d", "0s"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"outcome\.window: .*greater than"):
        loaded(folder)


def test_relative_paths_are_of_the_file_that_names_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    text = "warehouse: w\nreport: /r\nregistry: {directory: d}"
    by_file = loaded(folder, text)
    assert (by_file.warehouse, by_file.report) == (str(folder / "w"), Path("/r"))
    assert (by_file.registry.directory, by_file.loops) == (folder / "d", folder / "loops")
    by_flag = loaded(folder, text, "warehouse=w", "registry.directory=d")
    assert by_flag.warehouse == str(elsewhere / "w")
    assert by_flag.registry.directory == elsewhere / "d"
    assert loaded(folder, "").warehouse == str(elsewhere / "build" / "warehouse")
    assert loaded(folder, "", "warehouse=s3a://bucket/w").warehouse == "s3a://bucket/w"


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


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"features": 3}, "features: it has to be 'all' or a list"),
        ({"features": []}, "features: it has to be 'all' or a list of at least 1"),
        (
            {"features": "all", "action": "RETRAIN"},
            "action: it has to be 'FULL_RETRAIN', 'INCREMENTAL', 'REWARD_MODEL', ",
        ),
        (
            {"features": "all", "action": "X", "cooldown": "9999d"},
            "cooldown: it has to be less than or equal to",
        ),
    ],
)
def test_what_may_be_of_several_kinds_is_said_once(told: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(Params, {"q": 0.1, **told}, "the loop")
    assert refused.value.what.startswith(said)


def test_a_property_of_no_kind_is_said_once(folder: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(folder, "kafka: {properties: {x: [1], y: {envv: A}}}")
    kinds = "a text or a whole number or a number or true or false or keys with values"
    assert refused.value.what.startswith(f"kafka.properties.x: it has to be {kinds}; ")
    assert "unknown key 'kafka.properties.y.envv': did you mean 'env'?" in refused.value.what


def test_an_objection_may_be_negative_where_nothing_else_is_named_so(folder: Path) -> None:
    """`negative` names what is below a threshold, and silence; a flag alone has neither."""
    path = folder / "loops" / "a.yaml"
    flags = "outcomes: [{metric: flagged, signal: flag, window: 1d, positive: 'false'}]"
    path.write_text(LOOP.format(name="a") + flags, encoding="utf-8")
    assert loaded(folder).loop["a"].outcomes[0].positive == "false"


def test_the_hash_ignores_places_and_knows_everything_that_decides(folder: Path) -> None:
    path = folder / "loops" / "a.yaml"
    reference = "reference: {{model_version: '1', path: {}}}\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + reference.format("here.parquet"), encoding="utf-8")
    before = loaded(folder).hash
    places = (
        *("warehouse=/elsewhere", "report=/elsewhere", "kafka.bootstrap_servers=other:1"),
        *("registry.url=http://other", "kafka.properties={client.id: x}", "kafka.timeout=1s"),
        "spark={spark.executor.memory: 1g}",
    )
    assert loaded(folder, "", *places).hash == before
    path.write_text(text + reference.format("/there.parquet"), encoding="utf-8")
    assert loaded(folder).hash == before
    assert loaded(folder, "", "topics.inferences=other").hash != before
    assert loaded(folder, "", "batch.watermark_tolerance=6m").hash != before
    path.write_text(text.replace("14d", "15d") + reference.format("here.parquet"), encoding="utf-8")
    assert loaded(folder).hash != before


def test_configuration_cannot_be_changed(folder: Path) -> None:
    config = loaded(folder)
    with pytest.raises(ValueError, match="frozen"):
        config.warehouse = "other"


BY_TIME = "by: time, validation_from: 2017-01-01, test_from: 2017-06-01T00:00:00Z, embargo: 14d"


def with_split(folder: Path, text: str) -> Config:
    path = folder / "loops" / "a.yaml"
    datasets = f"datasets: [{{name: d, split: {{{text}}}}}]"
    path.write_text(LOOP.format(name="a") + datasets, encoding="utf-8")
    return loaded(folder)


@pytest.mark.parametrize("text", ["by: session", "by: tag.store", "by: feature.a b", BY_TIME])
def test_a_split_is_by_shares_or_by_time(folder: Path, text: str) -> None:
    split = with_split(folder, text).loop["a"].datasets[0].split
    assert split.test_from in (None, datetime(2017, 6, 1, tzinfo=UTC))
    assert split.validation_from in (None, datetime(2017, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BY_TIME.replace("14d", "335h"), "is shorter than outcome.window"),
        (BY_TIME.replace(", embargo: 14d", ""), "is shorter than outcome.window"),
        (BY_TIME.replace("14d", "151d"), "is not before test_from less the embargo"),
        (BY_TIME + ", test: 0.1", "a split by time has no test"),
        ("by: time, embargo: 14d", "needs test_from"),
        (BY_TIME.replace("2017-01-01", "5"), "validation_from.*a time is written as 2024-"),
        (BY_TIME.replace("2017-01-01", "20170101"), "validation_from.*a time is written"),
        (BY_TIME.replace("2017-01-01", "'5'"), "validation_from.*a time is written"),
        (BY_TIME.replace("2017-01-01", "1.5"), "validation_from.*a time is written"),
        ("by: subject, embargo: 14d", "a split by subject has no embargo"),
        ("validation: 0.5, test: 0.5", "leave nothing to train on"),
        ("by: region", r"by: use subject, session, time, tag.<name> or feature.<name>"),
        ("by: tag.", r"by: use subject, session, time, tag.<name> or feature.<name>"),
        ("by: 5", "by: it has to be a text"),
        ("by: time, test_from: soon", r"test_from: a time is written as 2024-03-01 or 2024"),
    ],
)
def test_a_split_that_would_leak_or_cannot_be_is_refused(
    folder: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        with_split(folder, text)
