"""Layers of the configuration as they are found: files, environment variables, flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from processor.errors import ConfigError

ENVIRONMENT_PREFIX = "BFP__"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with every key of `over` put over it, section by section."""
    out = dict(base)
    for key, value in over.items():
        below = out.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        out[key] = merge(below, value) if both and below is not None else value
    return out


class _Loader(yaml.SafeLoader):
    """YAML whose keys are there once, as YAML 1.2 has it: of two, a reader sees the wrong one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401  # of the library
        """The keys as they stand in the text: merged ones (`<<`) may be said again."""
        node = super().compose_mapping_node(anchor)
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key, count in Counter(key.value for key in keys).items() if count > 1]:
            raise yaml.composer.ComposerError(
                None, None, f"the key {twice[0]!r} is there twice", node.start_mark
            )
        return node


def _parsed(text: str, where: str) -> Any:  # noqa: ANN401  # any YAML
    """What YAML says; its library has errors of its own kind for some of what is none."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506  # it is a SafeLoader
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{where} is not YAML: {error}", remedy=f"edit {where}") from error


def _nested(path: list[str], value: object) -> dict[str, Any]:
    head, *rest = path
    return {head: _nested(rest, value) if rest else value}


def read(path: Path) -> dict[str, Any]:
    """The keys of a YAML file; raises ConfigError where there are none to be had."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", remedy="name a file that is there"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8: {error}", remedy=f"save {path} as UTF-8"
        ) from error
    raw = _parsed(text, str(path))
    if not isinstance(raw, dict | None):
        raise ConfigError(f"{path} holds no keys", remedy=f"write `key: value` into {path}")
    return raw or {}


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """What variables such as `BFP__KAFKA__BOOTSTRAP_SERVERS` say."""
    out: dict[str, Any] = {}
    for name, value in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            out = merge(out, _nested(path, _parsed(value, name)))
    return out


def from_flags(flags: Iterable[str]) -> dict[str, Any]:
    """What flags such as `kafka.timeout=5s` say; raises ConfigError for one without `=`."""
    out: dict[str, Any] = {}
    for flag in flags:
        key, equals, value = flag.partition("=")
        if not equals:
            raise ConfigError(f"--set {flag}: no value", remedy="write --set KEY=VALUE")
        out = merge(out, _nested(key.split("."), _parsed(value, f"--set {key}")))
    return out
