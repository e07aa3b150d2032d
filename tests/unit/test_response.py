"""Who answers is learned: against scikit-learn, against a plain loop, and against planted truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from processor.measure.response import MAX_THIN, THIN, folds_of, overlap, population_mean
from processor.measure.ridge import linear, logistic

Numbers = npt.NDArray[np.float64]
SIZE, RUNS = 1000, 150


class World(NamedTuple):
    """What is known of all rows, what each would say, and how likely it is to be answered."""

    x: Numbers
    truth: Numbers
    chance: Numbers

    def heard(self, rng: np.random.Generator) -> Numbers:
        """What each says, NaN where nobody answered."""
        return np.where(rng.random(self.chance.size) < self.chance, self.truth, np.nan)


def named(n: int) -> list[str]:
    return [f"i{number}" for number in range(n)]


def planted(rng: np.random.Generator, size: int, kind: str = "both") -> World:
    """The surer the model, the more often it is right, and the more often it is told so.

    `kind` says which of the two is logistic in the columns, as the models assume.
    """
    x = rng.normal(size=(size, 2))
    bend = 1.2 * (np.abs(x[:, 0]) - 0.8)
    right, chance = 1 + x[:, 0] - 0.5 * x[:, 1], -0.3 + 0.8 * x[:, 0]
    if kind == "answering":
        right += bend
    if kind == "values":
        chance += bend
    return World(x, (rng.random(size) < expit(right)).astype(float), expit(chance))


def truth_of(kind: str) -> float:
    return float(planted(np.random.default_rng(99), 1_000_000, kind).truth.mean())


# --- the models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_models_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, at = rng.normal(3, [1, 20, 0.1], size=(2, 400, 3))
    y = (rng.random(400) < expit(x[:, 0] - 3)).astype(float)
    spread, mean = x.std(axis=0), x.mean(axis=0)
    scaled, there = (x - mean) / spread, (at - mean) / spread
    peer = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000).fit(scaled, y)
    found = logistic(x, y, at)
    assert found == pytest.approx(peer.predict_proba(there)[:, 1], abs=1e-5)
    wanted = Ridge(alpha=1.0).fit(scaled, 5 * y).predict(there)
    assert linear(x, 5 * y, at) == pytest.approx(wanted, abs=1e-6)


def test_a_row_is_judged_by_models_that_never_saw_it() -> None:
    """A plain loop over folds and rows, with scikit-learn's models, comes to the same."""
    rng = np.random.default_rng(4)
    world = planted(rng, 600)
    y, names = world.heard(rng), named(600)
    fold = folds_of(names, 5)
    assert np.bincount(fold).min() > 80
    said = []
    for own in range(5):
        others = [n for n in range(600) if fold[n] != own]
        heard = [n for n in others if not np.isnan(y[n])]
        models = []
        for rows, target in ((others, ~np.isnan(y)), (heard, y == 1)):
            x = world.x[rows]
            scaled = (x - x.mean(axis=0)) / x.std(axis=0)
            fit = LogisticRegression(C=1.0, tol=1e-12).fit(scaled, target[rows])
            there = (world.x - x.mean(axis=0)) / x.std(axis=0)
            models.append(fit.predict_proba(there)[:, 1])
        for n in range(600):
            if fold[n] == own:
                p, m = models[0][n], models[1][n]
                said.append(m if np.isnan(y[n]) else m + (y[n] - m) / p)
    found = population_mean(names, world.x, y).estimate
    assert found.value == pytest.approx(np.mean(said), abs=1e-5)
    half = 1.959963985 * np.std(said, ddof=1) / 600**0.5
    assert found.ci_high == pytest.approx(np.mean(said) + half, abs=1e-5)


def test_a_fold_follows_from_the_id_alone() -> None:
    rng = np.random.default_rng(5)
    world = planted(rng, 500)
    y, names = world.heard(rng), named(500)
    order = rng.permutation(500)
    found = population_mean(names, world.x, y)
    again = population_mean([names[n] for n in order], world.x[order], y[order])
    assert again.estimate.value == pytest.approx(found.estimate.value, abs=1e-9)
    assert again.estimate.ci_low == pytest.approx(found.estimate.ci_low, abs=1e-9)
    assert again.overlap is not None
    assert found.overlap is not None
    assert again.overlap.bins == found.overlap.bins
    assert (folds_of(names[:7], 5) == folds_of(names, 5)[:7]).all()


def test_a_column_that_was_of_one_value_says_nothing_of_another() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 1))
    y = (rng.random(300) < expit(x[:, 0])).astype(float)
    same, other = (np.column_stack([x, np.full(300, value)]) for value in (0.1, 0.2))
    for model in (logistic, linear):
        assert model(same, y, other) == pytest.approx(model(x, y, x), abs=1e-9)


# --- planted truth --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["both", "answering", "values"])
def test_the_interval_holds_the_truth_where_either_model_is_right(kind: str) -> None:
    """And the mean of the answers alone does not."""
    rng, truth = np.random.default_rng(11), truth_of(kind)
    values, naive, held = np.empty(RUNS), np.empty(RUNS), 0
    for run in range(RUNS):
        world = planted(rng, SIZE, kind)
        y = world.heard(rng)
        found = population_mean(named(SIZE), world.x, y).estimate
        assert found.value is not None
        assert found.ci_low is not None
        assert found.ci_high is not None
        values[run], naive[run] = found.value, np.nanmean(y)
        held += found.ci_low <= truth <= found.ci_high
    error = values.std() / RUNS**0.5
    assert abs(values.mean() - truth) < 4 * error
    assert 0.91 <= held / RUNS <= 0.985
    assert abs(naive.mean() - truth) > 4 * naive.std() / RUNS**0.5


def test_a_mean_of_numbers_beyond_a_share_is_held_too() -> None:
    rng, held = np.random.default_rng(12), 0
    for _ in range(RUNS):
        world = planted(rng, SIZE)
        numbers = 20 + 5 * world.x[:, 0] + rng.normal(0, 3, SIZE)
        y = world._replace(truth=numbers).heard(rng)
        found = population_mean(named(SIZE), world.x, y).estimate
        assert found.ci_low is not None
        assert found.ci_high is not None
        held += found.ci_low <= 20 <= found.ci_high
        assert np.nanmean(y) > found.ci_high
    assert 0.91 <= held / RUNS <= 0.985


# --- overlap --------------------------------------------------------------------------------------


def test_where_a_part_never_answers_there_is_no_figure() -> None:
    rng = np.random.default_rng(13)
    world = planted(rng, 3000)
    part = world.x[:, 1] > 1
    silent = world._replace(chance=np.where(part, 0.0, world.chance))
    x = np.column_stack([world.x, part])
    found = population_mean(named(3000), x, silent.heard(rng))
    assert (found.estimate.value, found.estimate.ci_low) == (None, None)
    assert "are answered with a probability below 0.05, more than 5%" in str(found.estimate.reason)
    assert found.overlap is not None
    assert found.overlap.thin == pytest.approx(part.mean(), abs=0.01)
    assert found.overlap.least < THIN
    assert population_mean(named(3000), x, world.heard(rng)).estimate.value is not None


def test_a_small_part_that_hardly_answers_moves_the_mean_by_its_share_at_most() -> None:
    rng = np.random.default_rng(14)
    world = planted(rng, 4000)
    part = np.arange(4000) % 30 == 0
    silent = world._replace(chance=np.where(part, 0.004, world.chance))
    found = population_mean(named(4000), np.column_stack([world.x, part]), silent.heard(rng))
    assert found.overlap is not None
    assert 0 < found.overlap.thin <= MAX_THIN
    estimate = found.estimate
    assert estimate.value is not None
    assert estimate.ci_low is not None
    assert abs(estimate.value - world.truth.mean()) < part.mean() + estimate.value - estimate.ci_low


def test_the_plot_says_where_rows_are() -> None:
    chance = np.array([0.01, 0.04, 0.05, 0.31, 0.39, 0.95, 0.97, 1.0])
    answered = np.array([False, True, False, True, False, True, True, True])
    found = overlap(chance, answered)
    assert (found.least, found.thin, found.outside) == (0.01, 2 / 8, 4 / 8)
    there = {(round(b.low, 1), b.answered, b.silent) for b in found.bins if b.answered or b.silent}
    assert there == {(0.0, 1, 2), (0.3, 1, 1), (0.9, 3, 0)}
    assert sum(b.answered + b.silent for b in found.bins) == 8


def test_as_many_of_a_bin_have_answered_as_it_says() -> None:
    rng = np.random.default_rng(15)
    world = planted(rng, 20_000)
    found = population_mean(named(20_000), world.x, world.heard(rng)).overlap
    assert found is not None
    large = [b for b in found.bins if b.answered + b.silent > 500]
    assert len(large) > 5
    for each in large:
        share = each.answered / (each.answered + each.silent)
        assert each.low - 0.02 < share < each.high + 0.02


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answers", "silent"), [(0, 100), (29, 100), (100, 29), (100, 0)])
def test_too_few_answers_or_too_few_that_are_silent_are_refused(answers: int, silent: int) -> None:
    n = answers + silent
    y = np.where(np.arange(n) < answers, 1.0, np.nan)
    x = np.random.default_rng(16).normal(size=(n, 2))
    found = population_mean(named(n), x, y)
    assert found.estimate.value is None
    assert f"{answers} answered of {n}: fewer than 30" in str(found.estimate.reason)
    assert found.overlap is None


def test_too_few_effective_rows_are_refused() -> None:
    rng = np.random.default_rng(17)
    world = planted(rng, 500)
    found = population_mean(named(500), world.x, world.heard(rng), min_effective=400).estimate
    assert found.value is None
    assert "effective rows of 500, fewer than 400" in str(found.reason)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="2 ids, 1 of them different, for 2 values and 2 rows"):
        population_mean(["a", "a"], [[1.0], [2.0]], [1.0, 0.0])
    with pytest.raises(ValueError, match="2 of them different, for 2 values and 1 rows"):
        population_mean(["a", "b"], [[1.0, 2.0]], [1.0, 0.0])
    with pytest.raises(ValueError, match="not finite"):
        population_mean(["a", "b"], [[1.0], [float("nan")]], [1.0, 0.0])
