"""What policies make of counts alone, where it matters most: at the ends. No JVM."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processor.datasets import sampling
from processor.datasets.chain import chain
from processor.datasets.sampling.base import Policy
from processor.datasets.scores import in_proportion, score_of
from processor.errors import ConfigError
from processor.plugins import Registry

POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")


def allotted(told: dict[str, Any], counts: dict[str, int]) -> dict[str, float]:
    """The probabilities of a single policy."""
    found = chain(told, POLICIES, "here").allot({(name,): n for name, n in counts.items()})
    return {name: chance for (name,), chance in found.items()}


def stratum(name: str, value: str | None = None) -> str:
    told = {"by": {"variant": name}, **({"of": value} if value is not None else {})}
    return json.dumps(told, separators=(",", ":"))


def stratified(**told: object) -> dict[str, Any]:
    return {"policy": "stratified", "by": ["variant"], **told}


def test_what_no_share_claims_goes_by_size() -> None:
    """A stratum where all values are the same has no share of Neyman's, and gets the rest."""
    same, one, other = stratum("a", "1.00e+00"), stratum("b", "0.00e+00"), stratum("b", "1.00e+00")
    found = allotted(stratified(allocation="neyman", rows=60), {same: 100, one: 10, other: 10})
    assert found == pytest.approx({same: 0.4, one: 1.0, other: 1.0})


def test_where_nothing_varies_neyman_goes_by_size() -> None:
    counts = {stratum("a", "1.00e+00"): 90, stratum("b"): 30}
    found = allotted(stratified(allocation="neyman", rows=60), counts)
    assert list(found.values()) == pytest.approx([0.5, 0.5])


def test_the_minimum_is_kept_even_where_it_is_more_than_the_budget() -> None:
    counts = {stratum(name): size for name, size in (("a", 1000), ("b", 8), ("c", 50))}
    found = allotted(stratified(rows=12, minimum=10), counts)
    assert [found[name] * n for name, n in counts.items()] == pytest.approx([10, 8, 10])


def test_a_missing_value_is_a_stratum_and_takes_no_part_in_the_spread() -> None:
    blank = json.dumps({"by": {}})
    counts = {
        stratum("a", "0.00e+00"): 10,
        stratum("a"): 10,
        stratum("a", "1.00e+00"): 10,
        blank: 9,
    }
    found = allotted(stratified(allocation="neyman", rows=21), counts)
    assert found[blank] == pytest.approx(1 / 9)
    assert {round(found[name], 12) for name in counts if name != blank} == {round(20 / 30, 12)}


def test_scores_that_would_be_above_one_give_what_is_over_to_the_others() -> None:
    steps = {"160": 5.0, "0": 100.0}  # 2^5 times as likely
    assert score_of("160") == 32 * score_of("0")
    assert in_proportion(steps, 30) == pytest.approx({"160": 1.0, "0": 0.25})
    assert in_proportion(steps, 200) == {"160": 1.0, "0": 1.0}
    assert in_proportion({"-32": 4.0, "32": 4.0}, None) == {"-32": 0.5, "32": 1.0}


def test_nothing_to_choose_from_is_no_failure() -> None:
    for told in (
        {"policy": "all"},
        {"policy": "uniform", "rows": 5},
        stratified(rows=5, allocation="neyman"),
        {"policy": "uncertainty", "rows": 5},
    ):
        assert allotted(told, {}) == {}


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"policy": "unifrom"}, "unknown sampling policy 'unifrom'"),
        ({"policy": "uniform"}, "one of rate and rows"),
        ({"policy": "uniform", "rate": 0.5, "rows": 9}, "one of rate and rows"),
        ({"policy": "uniform", "rate": 0.0}, "rate"),
        ({"policy": "uncertainty", "rows": 9, "measure": "doubt"}, "measure"),
        ({"policy": "uncertainty", "rows": 9, "floor": 0}, "floor"),
        ({"policy": "recency", "half_life": "0d"}, "half_life"),
        (stratified(rows=9, by=["variannt"]), "did you mean 'variant'"),
        (stratified(rows=9, by=[]), "by"),
        (stratified(rows=9, min_effective=-1), "min_effective"),
        ({"policies": []}, "policies"),
        ({"policies": [{"policy": "all"}], "rows": 9}, "unknown key 'rows'"),
        ({"policies": [{"policy": "all", "rate": 0.5}]}, "unknown key 'rate'"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_stands(
    told: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        chain(told, POLICIES, "the loop 'l', datasets.0.sampling")
    assert problem in str(refused.value)


def test_the_floor_of_effective_rows_is_of_the_whole_chain() -> None:
    told = {"policies": [{"policy": "all"}, {"policy": "uniform", "rate": 0.5}]}
    assert chain({**told, "min_effective": 30}, POLICIES, "here").min_effective == 30
    assert chain({"min_effective": 7}, POLICIES, "here").min_effective == 7
    assert chain({}, POLICIES, "here").links[0].policy.name == "all"
