"""Sampling policies: their laws, and each probability against formulas written down again.

All policies decide in one Spark job over one population; the rest is plain Python and numpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from scipy.optimize import brentq
from scipy.stats import entropy

from processor.datasets.allotment import poisson_variance
from processor.datasets.chain import counted
from processor.datasets.draws import draw_one
from processor.datasets.weights import effective_rows
from processor.weighting import effective_size, hajek
from tests.spark.population import (
    ABLE,
    BUDGET,
    HALF_LIFE,
    INFERENCES,
    KNOWN,
    MARK,
    OUTCOMES,
    POLICIES,
    SAID,
    TRIALS,
    Numbers,
    Row,
    World,
    made,
    recipe,
)

STEP = 2 ** (1 / 64)  # a score stands for those that are this factor away, at most
STANDARD_ERRORS = 4  # how far from what is expected a mean may be


@pytest.fixture(scope="module")
def world(spark_session: SparkSession) -> World:
    known = spark_session.createDataFrame(pa.Table.from_pylist(KNOWN, OUTCOMES))
    said = spark_session.createDataFrame(pa.Table.from_pylist(SAID, INFERENCES))
    return World(known.coalesce(1), said.coalesce(1))


every_trial = pytest.mark.parametrize("name", TRIALS)


def test_every_policy_is_tried() -> None:
    tried = {link.policy.name for name in TRIALS for link in made(name).links}
    assert tried == {policy.name for policy in POLICIES}


def test_what_policies_read_under_one_name_is_one_thing(world: World) -> None:
    meant: dict[str, set[str]] = {}
    for name in TRIALS:
        for link in made(name).links:
            for key, column in link.policy.reads(link.params).items():
                meant.setdefault(key, set()).add(str(column))
    assert meant
    assert {key: len(texts) for key, texts in meant.items()} == dict.fromkeys(meant, 1)


@every_trial
def test_every_row_can_be_chosen_and_its_weight_undoes_all_that_chose_it(
    world: World, name: str
) -> None:
    chances = world.inclusion(name)
    assert ((chances > 0) & (chances <= 1)).all()
    salt = recipe(name).salt
    for row, chance in zip(ABLE, chances, strict=True):
        found = world.rows[name][row["inference_id"]]
        assert found["reason"] == (
            "kept" if draw_one(row["inference_id"], f"sample|{salt}") < chance else "not_sampled"
        )
        came = row["log_keep_prob"] * (row["solicit_prob"] or 1.0) * chance
        assert found["weight"] == pytest.approx(row["credit"] / came, rel=1e-12)
    others = {row["reason"] for row in world.rows[name].values()} - {"kept", "not_sampled"}
    assert others == {"retracted", "training_not_allowed"}


@every_trial
def test_a_budget_is_met_in_expectation(world: World, name: str) -> None:
    last = made(name).links[-1].params
    budget = getattr(last, "rows", None)
    if budget is None:
        return
    assert world.inclusion(name).sum() == pytest.approx(min(budget, len(ABLE)), rel=1e-9)


@every_trial
def test_estimates_from_many_seeds_are_those_of_everybody(world: World, name: str) -> None:
    seeds = 300
    truth = np.array([float(row["value"] != row["pred_label"]) for row in ABLE])
    chances = world.inclusion(name)
    kept = world_draws(seeds) < chances
    found = [hajek(truth[each], 1 / chances[each]).value for each in kept]
    means = np.array(found, dtype=float)
    variance = poisson_variance(truth, chances)
    # A ratio is off by about its variance; beyond that, by chance alone.
    allowed = variance + STANDARD_ERRORS * (variance / seeds) ** 0.5
    assert means.mean() == pytest.approx(truth.mean(), abs=allowed, rel=1e-12)
    assert means.var() == pytest.approx(variance, rel=0.35, abs=1e-12)


_DRAWS: dict[int, Numbers] = {}


def world_draws(seeds: int) -> Numbers:
    """What each row that can be chosen draws with each seed; the same for all policies."""
    if seeds not in _DRAWS:
        ids = [row["inference_id"] for row in ABLE]
        _DRAWS[seeds] = np.array(
            [[draw_one(one, f"sample|d|{seed}") for one in ids] for seed in range(seeds)]
        )
    return _DRAWS[seeds]


def scored(score: Callable[[Row], float | None], floor: float) -> Numbers:
    told = [score(row) for row in ABLE]
    return np.array([floor if each is None else max(each, floor) for each in told])


def probabilities(row: Row) -> list[float]:
    return sorted((p for _, p in row["class_probs"]), reverse=True)


def margin(row: Row) -> float | None:
    # modAL's classifier_margin is p1 - p2, where less is less sure.
    p = probabilities(row)
    return 1 - (p[0] - p[1]) if p else None


def vote_entropy(row: Row) -> float | None:
    """As modAL's, whose numbers are those of test_disagreement; alone, nobody disagrees."""
    votes = [each["pred_label"] for each in row["committee"] or [] if each["pred_label"]]
    return float(entropy(list(Counter(votes).values()))) if votes else None


def bald(row: Row) -> float | None:
    """The Jensen-Shannon divergence of the members, by another formula: the mean of KL to it."""
    told = [{p["key"]: p["value"] for p in each["class_probs"]} for each in row["committee"] or []]
    told = [each for each in told if each]
    if not told:
        return None
    names = sorted({name for each in told for name in each})
    rows = np.array([[each.get(name, 0.0) for name in names] for each in told])
    return float(np.mean([entropy(each, rows.mean(axis=0)) for each in rows]))


def decayed(row: Row) -> float:
    return float(0.5 ** (max(MARK - row["response_time"], timedelta(0)) / HALF_LIFE))


SCORES: Mapping[str, tuple[Callable[[Row], float | None], float]] = {
    # modAL: classifier_uncertainty, 1 - the largest probability.
    "uncertainty, least_confidence": (
        lambda row: 1 - probabilities(row)[0] if row["class_probs"] else None,
        0.01,
    ),
    "uncertainty, margin": (margin, 0.01),
    "uncertainty, nearly all": (margin, 0.01),
    # modAL: classifier_entropy, which is scipy's.
    "uncertainty, entropy": (
        lambda row: float(entropy(probabilities(row))) if row["class_probs"] else None,
        0.01,
    ),
    "uncertainty, vote_entropy": (vote_entropy, 0.01),
    "uncertainty, bald": (bald, 0.01),
    "uncertainty, logged": (lambda row: row["uncertainty"], 0.01),
    "importance, inverse": (lambda row: 1 / (row["propensity"] or 1.0), 0.01),
    "importance, common": (lambda row: (row["propensity"] or 1.0) ** 0.5, 0.3),
    "recency": (decayed, 0.05),
    "recency, rows": (decayed, 0.05),
}


def capped(scores: Numbers, budget: int) -> Numbers:
    """Inclusion in proportion to size: who would be above 1 is in, the others share the rest.

    Source: Y. Tillé, Sampling Algorithms (2006), 2.10.
    """
    sure = np.zeros(scores.size, dtype=bool)
    while True:
        factor = (budget - sure.sum()) / scores[~sure].sum()
        over = ~sure & (factor * scores >= 1)
        if not over.any():
            return np.where(sure, 1.0, factor * scores)
        sure |= over


@pytest.mark.parametrize("name", SCORES)
def test_probabilities_are_in_proportion_to_the_score(world: World, name: str) -> None:
    score, floor = SCORES[name]
    scores = scored(score, floor)
    budget = getattr(made(name).links[0].params, "rows", None)
    expected = np.minimum(scores, 1.0) if budget is None else capped(scores, budget)
    # The factor moves a little too, as all scores are rounded.
    assert world.inclusion(name) == pytest.approx(expected, rel=STEP**2 - 1)
    assert world.inclusion(name).std() > 0.05


SPREADS: Mapping[str, Callable[[list[Row]], float]] = {
    "stratified, neyman": lambda rows: deviation([row["reward"] for row in rows]),
    "stratified, correct": lambda rows: deviation(
        [float(row["value"] == row["pred_label"]) for row in rows]
    ),
}


def deviation(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def shared_out(sizes: Numbers, shares: Numbers, minimum: int) -> Numbers:
    """Bounded shares of the budget, by a root finder; what is left goes by size."""
    least = np.minimum(minimum, sizes)

    def bounded(of: Numbers, low: Numbers) -> Numbers:
        def over(factor: float) -> float:
            return float(np.clip(factor * of, low, sizes).sum() - BUDGET)

        if over(0) > -1e-6:  # all is given already
            return low
        highest = float((sizes[of > 0] / of[of > 0]).max())
        if over(highest) <= 0:
            return np.clip(highest * of, low, sizes)
        return np.clip(brentq(over, 0, highest, xtol=1e-13) * of, low, sizes)

    return bounded(sizes, bounded(shares, least))


@pytest.mark.parametrize("name", [name for name in TRIALS if name.startswith("stratified")])
def test_strata_get_the_rows_that_the_allocation_says(world: World, name: str) -> None:
    params = made(name).links[0].params
    strata: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(ABLE):
        known = {
            "str.sector": dict(row["features_str"]).get("sector"),
            "variant": row["variant"],
            "label": row["value"],
        }
        strata.setdefault(tuple(known[by] for by in params.by), []).append(place)
    assert len(strata) >= 3
    sizes = np.array([len(places) for places in strata.values()], dtype=float)
    spread = SPREADS.get(name)
    groups = [[ABLE[place] for place in places] for places in strata.values()]
    within = np.array([spread(group) if spread else 1.0 for group in groups])
    shares = np.ones(sizes.size) if params.allocation == "equal" else sizes * within
    given = shared_out(sizes, shares, params.minimum)
    chances = world.inclusion(name)
    for places, size, expected in zip(strata.values(), sizes, given, strict=True):
        assert chances[places] == pytest.approx(expected / size, rel=1e-6), name


def near(row: Row) -> tuple[Any, ...]:
    """What makes inputs nearly the same, to one digit: the sector and the age."""
    (age,) = (float(f"{value + 0.0:.0e}") for _, value in row["features_num"])
    return dict(row["features_str"]).get("sector"), age


def test_inputs_that_are_nearly_the_same_share_what_each_kind_has(world: World) -> None:
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(ABLE):
        kinds.setdefault(near(row), []).append(place)
    sizes = np.array([len(places) for places in kinds.values()], dtype=float)
    assert sizes.max() > 20 * sizes.min()
    given = shared_out(sizes, np.ones(sizes.size), 0)
    chances = world.inclusion("diverse")
    for places, size, expected in zip(kinds.values(), sizes, given, strict=True):
        assert chances[places] == pytest.approx(expected / size, rel=1e-6)


def test_a_whole_input_counts_if_none_of_it_is_named(world: World) -> None:
    """Words count without case and punctuation; of what differs, some meet in a cell by chance."""
    cells = {row["inference_id"]: row for row in world.candidates("diverse, whole input").collect()}
    by_kind: dict[tuple[Any, ...], set[str]] = {}
    for row in ABLE:
        (age,) = (f"{value + 0.0:.1e}" for _, value in row["features_num"])
        words = [each["content"].lower().replace(",", "").strip("!") for each in row["messages"]]
        kind = (age, *row["features_str"], *words)
        by_kind.setdefault(kind, set()).add(cells[row["inference_id"]]["cells"][0])
    assert {len(found) for found in by_kind.values()} == {1}
    assert set().union(*by_kind.values()) == {str(cell) for cell in range(16)}


def test_a_chain_multiplies_and_each_budget_is_of_what_those_before_leave(world: World) -> None:
    decay = np.minimum(scored(decayed, 0.2), 1.0)
    groups: dict[str | None, list[int]] = {}
    for place, row in enumerate(ABLE):
        groups.setdefault(row["variant"], []).append(place)
    left = {name: decay[places].sum() for name, places in groups.items()}
    assert min(left.values()) > 120 / len(groups)
    expected = np.array([decay[p] * 40 / left[row["variant"]] for p, row in enumerate(ABLE)])
    assert world.inclusion("chain") == pytest.approx(expected, rel=STEP**2 - 1)


def test_counts_and_effective_rows_are_those_of_plain_python_however_rows_lie(
    world: World,
) -> None:
    name = "importance, inverse"
    able = world.candidates(name).where("refusal IS NULL")
    assert counted(able.repartition(5, "drawn")) == world.counts[name]
    kept = [row for row in world.rows[name].values() if row["reason"] == "kept"]
    by_split: dict[str, list[float]] = {}
    for row in kept:
        by_split.setdefault(row["split"], []).append(row["weight"])
    largest = {split: max(weights) for split, weights in by_split.items()}
    chosen = world.decided[name].where("reason = 'kept'")
    found = effective_rows(chosen, largest)
    assert effective_rows(chosen.repartition(7, "weight"), largest) == found
    for split, weights in by_split.items():
        assert found[split] == pytest.approx(effective_size(weights), rel=1e-9)
    whole = effective_size([row["weight"] for row in kept])
    assert found["all"] == pytest.approx(whole, rel=1e-9)
    assert effective_rows(chosen, {}) == {}


@every_trial
def test_the_order_of_cells_changes_nothing(world: World, name: str) -> None:
    turned = dict(reversed(world.counts[name].items()))
    assert made(name).allot(turned) == world.chances[name]
