"""Label requests in a loop file: what is understood, and what is refused before a run begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from processor.config import Config, load
from processor.datasets.requests import Asking
from processor.errors import ConfigError
from processor.loops import LoopConfig
from processor.stages.solicit import askings

OUTCOME = {"metric": "right", "signal": "label", "window": "10d"}
GOOD = {"policy": "uncertainty", "measure": "margin", "rows": 200}


def configured(told: Mapping[str, Any] | None, **outcome: Any) -> Config:  # noqa: ANN401  # any key
    raw = {"loop": "l", "model": "m", "outcome": {**OUTCOME, **outcome}, "label_requests": told}
    loop = LoopConfig.model_validate(raw)
    return load(None, (), {}).model_copy(update={"loop": {"l": loop}})


def asked(told: Mapping[str, Any]) -> Asking:
    (found,) = askings(configured(told))
    return found


def test_a_loop_that_asks_for_nothing_asks_nobody() -> None:
    assert askings(configured(None)) == []


def test_a_loop_file_says_how_labels_are_asked_for() -> None:
    one = asked({**GOOD, "expires": "3d", "seed": 7})
    assert (one.policy, one.config.seed, one.salt) == ("uncertainty", 7, "ask|l|7")
    assert one.config.expires is not None
    assert one.config.expires.days == 3
    chained = {"policies": [{"policy": "recency", "half_life": "1d"}, GOOD]}
    assert asked(chained).policy == "recency+uncertainty"


@pytest.mark.parametrize(
    ("told", "outcome", "meant"),
    [
        ({}, {}, "write `policy: NAME`"),
        ({"seed": 1}, {}, "write `policy: NAME`"),
        ({**GOOD, "policy": "uncertianty"}, {}, "did you mean 'uncertainty'?"),
        ({**GOOD, "expire": "3d"}, {}, "did you mean 'expires'?"),
        ({**GOOD, "flor": 0.1}, {}, "did you mean 'floor'?"),
        ({**GOOD, "expires": "0d"}, {}, "expires"),
        ({**GOOD, "rows": True}, {}, "rows: a number is no true or false"),
        ({**GOOD, "seed": False}, {}, "seed: a number is no true or false"),
        (
            {"policy": "stratified", "by": ["role"], "rows": 9, "allocation": "neyman"}
            | {"spreads": {"PRIMARY": True}},
            {},
            "spreads: a number is no true or false",
        ),
        ({**GOOD, "min_effective": 9}, {}, "leave `min_effective` out"),
        ({"policy": "stratified", "by": ["label"], "rows": 9}, {}, "before it is answered"),
        (
            {"policy": "stratified", "by": ["variant"], "allocation": "neyman", "rows": 9},
            {},
            "before it is answered",
        ),
        (GOOD, {"signal": "ground_truth"}, "let `outcome` come from feedback"),
        (GOOD, {"level": "session", "credit": {"rule": "last"}}, "write `level: inference`"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    told: Mapping[str, Any], outcome: Mapping[str, Any], meant: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        askings(configured(told, **outcome))
    assert meant in f"{refusal.value.what} {refusal.value.remedy}"
