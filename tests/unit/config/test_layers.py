"""Configuration: what wins, what is refused, and what is said about it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from processor.checked import checked, section_of
from processor.config import Config, load
from processor.errors import ConfigError
from processor.layers import read
from processor.resources import resource
from processor.sections import Secret, revealed
from processor.triggers.rules.drift import Params
from tests.unit.config.own import NOWHERE, loaded, written


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
