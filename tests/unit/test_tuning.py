"""Tuning: against closed forms, sums over single rows, and what many seeds in fact come to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize

from processor.datasets import sampling, tuning
from processor.datasets.allotment import poisson_variance, stratified_variance
from processor.datasets.chain import Chain, Link, chain
from processor.datasets.sampling.base import Policy
from processor.datasets.tuning import Answered, Cells, Expected, Sums
from processor.errors import ConfigError
from processor.plugins import Registry
from processor.weighting import hajek

POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")
Numbers = npt.NDArray[np.float64]


def sums(names: Iterable[str], y: Numbers, w: Numbers) -> Cells:
    """Past outcomes by the cell of one policy, row by row."""
    found: dict[tuple[str, ...], Sums] = {}
    for name, value, weight in zip(names, y, w, strict=True):
        so_far = found.get((name,), Sums(0.0, 0.0, 0.0))
        row = (weight, weight * value, weight * value**2)
        found[name,] = Sums(*(a + b for a, b in zip(so_far, row, strict=True)))
    return found


def strata(numbers: Sequence[int]) -> list[str]:
    return [json.dumps({"by": {"variant": f"v{n}"}}) for n in numbers]


def one(told: dict[str, Any]) -> Chain:
    return chain(told, POLICIES, "here")


def neyman(rows: int, **more: Any) -> Chain:  # noqa: ANN401  # any parameter
    told = {"policy": "stratified", "by": ["variant"], "allocation": "neyman", "rows": rows}
    return one({**told, "spreads": {}, **more})


def taught(found: Chain, cells: Cells) -> Chain:
    (link,) = found.links
    return Chain((Link(link.policy, tuning.learned(link.policy, link.params, cells)),))


# --- the variance ---------------------------------------------------------------------------------


def test_neymans_allocation_has_neymans_variance_and_is_the_least() -> None:
    """Strata of one mean: what the estimate does not know of them is then nothing."""
    sizes, spread, budget = np.array([4000, 2000, 1000]), np.array([0.5, 2.0, 6.0]), 400
    variant = np.repeat([0, 1, 2], sizes)
    y = spread[variant] * np.tile([-1.0, 1.0], variant.size // 2)
    cells = sums(strata(variant.tolist()), y, np.ones(y.size))
    learned = taught(neyman(budget), cells)
    assert learned.links[0].params.spreads == {"v0": 0.5, "v1": 2.0, "v2": 6.0}
    labels, variance = tuning.expected(learned, cells, float(y.size))
    part = sizes / sizes.sum()
    closed = (part * spread).sum() ** 2 / budget - (part * spread**2).sum() / y.size
    assert labels == pytest.approx(budget)
    assert variance == pytest.approx(closed, rel=1e-9)
    given = budget * sizes * spread / (sizes * spread).sum()
    assert variance == pytest.approx(stratified_variance(sizes, spread, given), rel=1e-9)
    for how in ("proportional", "equal"):
        told = {"policy": "stratified", "by": ["variant"], "allocation": how, "rows": budget}
        assert tuning.expected(one(told), cells, float(y.size))[1] > variance * 1.1


@pytest.mark.parametrize("policy", ["uniform", "uncertainty"])
def test_the_expected_variance_is_that_of_single_rows(policy: str) -> None:
    rng, told = np.random.default_rng(1), {"policy": policy, "rows": 90}
    y, steps = rng.normal(size=700), rng.integers(-100, 0, 700)
    names = [str(n) for n in steps] if policy == "uncertainty" else [""] * 700
    cells = sums(names, y, np.ones(700))
    labels, variance = tuning.expected(one(told), cells, 700.0)
    chances = one(told).allot({name: each.w for name, each in cells.items()})
    single = poisson_variance(y, [chances[name,] for name in names])
    assert variance == pytest.approx(single, rel=1e-9)
    assert labels == pytest.approx(90)


def test_a_population_that_is_twice_as_large_is_one_of_two_of_each() -> None:
    y, names = np.array([0.0, 1.0, 1.0, 0.5]), strata([0, 0, 1, 1])
    found = neyman(2, spreads={"v0": 1.0, "v1": 3.0})
    scaled = tuning.expected(found, sums(names, y, np.ones(4)), 8.0)
    doubled = sums(names * 2, np.tile(y, 2), np.ones(8))
    assert scaled == pytest.approx(tuning.expected(found, doubled, 8.0))


def test_as_many_labels_as_inferences_leave_nothing_to_chance() -> None:
    cells = sums([""] * 3, np.array([0.0, 1.0, 1.0]), np.ones(3))
    assert tuning.expected(one({"policy": "uniform", "rows": 3}), cells, 3.0) == (3.0, 0.0)


# --- planted truth --------------------------------------------------------------------------------

SIZE, BUDGET, SEEDS = 6_000, 500, 400
SPREADS = {"v0": 0.2, "v1": 0.3, "v2": 0.6}


class World:
    """Unsure ones are more often wrong, and the variants of a model differ in how often."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        self.variant = rng.choice(3, SIZE, p=[0.7, 0.2, 0.1])
        wrong = np.array([0.02, 0.1, 0.5])[self.variant]
        self.y = (rng.random(SIZE) >= wrong).astype(float)
        self.cells = sums(strata(self.variant.tolist()), self.y, np.ones(SIZE))

    def chance(self, found: Chain) -> Numbers:
        chances = found.allot({name: each.w for name, each in self.cells.items()})
        return np.array([chances[name,] for name in strata(self.variant.tolist())])


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_what_is_expected_is_what_many_seeds_come_to_and_better_than_uniform(world: World) -> None:
    found = taught(neyman(BUDGET), world.cells)
    chance, rng = world.chance(found), np.random.default_rng(8)
    means = []
    for _ in range(SEEDS):
        kept = rng.random(SIZE) < chance
        means.append(hajek(world.y[kept], 1 / chance[kept]).value)
    _, expected = tuning.expected(found, world.cells, float(SIZE))
    assert np.var(np.array(means, float)) == pytest.approx(expected, rel=0.2)
    worth = tuning.uniform_labels(expected, world.cells, float(SIZE))
    assert worth is not None
    assert worth > 1.2 * BUDGET


def test_a_policy_that_never_ran_is_judged_by_what_another_collected(world: World) -> None:
    """Each outcome counts for as many as it stands for; without that, the judgement is off."""
    told = {"policy": "stratified", "by": ["variant"], "allocation": "equal", "rows": 1500}
    chance, rng = world.chance(one(told)), np.random.default_rng(9)
    target = neyman(BUDGET, spreads=SPREADS)
    _, truth = tuning.expected(target, world.cells, float(SIZE))
    weighed: list[float] = []
    naive: list[float] = []
    for _ in range(60):
        kept = rng.random(SIZE) < chance
        names = strata(world.variant[kept].tolist())
        for w, found in ((1 / chance[kept], weighed), (np.ones(kept.sum()), naive)):
            cells = sums(names, world.y[kept], w)
            found.append(tuning.expected(target, cells, float(SIZE))[1])
    assert np.mean(weighed) == pytest.approx(truth, rel=0.03)
    assert abs(np.mean(naive) / truth - 1) > 0.1


def test_what_was_realised_is_the_variance_there_was_also_where_many_never_answered(
    world: World,
) -> None:
    chance = world.chance(neyman(BUDGET, spreads=SPREADS))
    rng, found = np.random.default_rng(2), []
    for _ in range(SEEDS):
        asked = rng.random(SIZE) < chance
        came = asked & (rng.random(SIZE) < 0.6)
        w, y = 1 / chance[came], world.y[came]
        once, twice = ((v.sum(), (v * y).sum(), (v * y**2).sum()) for v in (w, w**2))
        counts = (int(asked.sum()), int(came.sum()), float((1 / chance[asked]).sum()))
        one_ = tuning.realised(Answered(*counts, *once, *twice))
        assert one_ is not None
        found.append(one_)
    means = np.array([each.mean for each in found])
    assert np.mean([each.variance for each in found]) == pytest.approx(means.var(), rel=0.15)
    assert means.mean() == pytest.approx(world.y.mean(), abs=4 * (means.var() / SEEDS) ** 0.5)


# --- choosing -------------------------------------------------------------------------------------


def test_the_least_variance_wins_and_the_first_of_equal_ones() -> None:
    tried = [Expected({"n": n}, 1.0, v, None) for n, v in enumerate((0.3, 0.1 + 1e-13, 0.1, 0.2))]
    assert tuning.best(tried) is tried[1]
    assert tuning.best([]) is None


def test_labels_that_a_uniform_choice_needs_are_its_own_budget() -> None:
    y = np.random.default_rng(0).random(300)
    cells = sums([""] * 300, y, np.full(300, 4.0))
    _, variance = tuning.expected(one({"policy": "uniform", "rows": 77}), cells, 1000.0)
    assert tuning.uniform_labels(variance, cells, 1000.0) == pytest.approx(77)
    alike = sums([""] * 9, np.ones(9), np.ones(9))
    assert tuning.uniform_labels(0.0, alike, 9.0) is None


def test_answers_that_did_not_come_say_nothing() -> None:
    assert tuning.realised(Answered(9, 1, 90.0, *[1.0] * 6)) is None


def test_the_budget_of_a_chain_is_that_of_its_last_policy() -> None:
    told = [{"policy": "recency", "half_life": "1d"}, {"policy": "uniform", "rate": 0.5}]
    found = tuning.with_budget(one({"policies": told}), 30)
    assert found.links[0].params.rows is None
    assert (found.links[1].params.rows, found.links[1].params.model_fields_set) == (30, {"rows"})
    whole = one({"policy": "all"})
    assert tuning.with_budget(whole, 30) is whole


@pytest.mark.parametrize("policy", tuple(POLICIES), ids=lambda policy: policy.name)
def test_every_proposal_is_one_that_a_loop_file_can_make_of_labels_that_are_not_there(
    policy: Policy,
) -> None:
    for told in policy.proposals(50):
        params = policy.params(**told)
        assert not policy.of_answers(params)
        assert params.model_dump()["rows"] == 50


# --- what was expected of past requests -----------------------------------------------------------


def test_what_was_known_by_a_batch_is_as_it_was_then() -> None:
    """One outcome turned in batch 4, one was taken back in 5, one came in 3."""
    right, wrong = Sums(1, 1, 1), Sums(1, 0, 0)
    spans: tuning.Spans = {
        tuning.Span(1, None): {("a",): Sums(3, 2, 2)},
        tuning.Span(1, 4): {("a",): right},
        tuning.Span(4, None): {("a",): wrong},
        tuning.Span(2, 5): {("b",): right},
        tuning.Span(3, None): {("b",): wrong},
    }
    known = {batch: tuning.by_then(spans, batch) for batch in range(6)}
    assert known[0] == {}
    assert known[1] == {("a",): (4, 3, 3)}
    assert known[2] == {("a",): (4, 3, 3), ("b",): (1, 1, 1)}
    assert known[3] == {("a",): (4, 3, 3), ("b",): (2, 1, 1)}
    assert known[4] == {("a",): (4, 2, 2), ("b",): (2, 1, 1)}
    assert known[5] == {("a",): (4, 2, 2), ("b",): (1, 0, 0)}


# --- what labels cost -----------------------------------------------------------------------------


def test_where_some_labels_cost_more_the_money_is_spent_best() -> None:
    """Cochran's n ∝ N S / √c, against a minimiser that knows nothing of it."""
    sizes, spread = np.array([4000.0, 2000.0, 1000.0]), np.array([0.5, 1.0, 0.8])
    cost = np.array([1.0, 9.0, 2.0])
    costs = {f"v{n}": each for n, each in enumerate(cost)}
    spreads = {f"v{n}": each for n, each in enumerate(spread)}
    told = neyman(300, spreads=spreads, costs=costs)
    names = strata(range(3))
    counts: dict[tuple[str, ...], float] = {
        (name,): float(size) for name, size in zip(names, sizes, strict=True)
    }
    chances = told.allot(counts)
    given = np.array([chances[name] * counts[name] for name in counts])
    assert given.sum() == pytest.approx(300)
    money = float((given * cost).sum())

    def variance(rows: Numbers) -> float:
        return stratified_variance(sizes, spread, rows)

    def of_logs(logs: Numbers) -> float:
        """The variance of rows that cost as much, in these proportions."""
        return variance(np.exp(logs) * money / (np.exp(logs) * cost).sum())

    best = minimize(of_logs, np.zeros(3), tol=1e-14)
    assert variance(given) == pytest.approx(best.fun, rel=1e-6)
    alike = sizes * spread
    assert variance(alike * money / (alike * cost).sum()) > 1.1 * best.fun


def test_costs_are_for_neyman() -> None:
    told = {"policy": "stratified", "by": ["variant"], "rows": 9}
    with pytest.raises(ConfigError, match="costs need `allocation: neyman`"):
        one({**told, "allocation": "equal", "costs": {"v0": 2}})
    with pytest.raises(ConfigError, match="greater than 0"):
        one({**told, "allocation": "neyman", "costs": {"v0": 0}})
