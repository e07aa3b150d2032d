"""The laws of every drift test, found by its file."""

from __future__ import annotations

from copy import deepcopy
from math import isfinite
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.measure.covariate import TESTS
from processor.measure.drift.base import DriftTest
from processor.measure.profile import CATEGORICAL, NUMERIC, Profile

EDGES = tuple(float(edge) for edge in range(14))  # 15 bins: names of one and of two digits
COUNT = st.integers(0, 3) | st.integers(0, 100_000)

every_test = pytest.mark.parametrize("test", list(TESTS), ids=lambda test: test.name)


def profile(kind: str, counts: dict[str, int]) -> Profile:
    edges = EDGES if kind == NUMERIC else ()
    return Profile("feature", kind, counts, 0, sum(counts.values()), edges)


def counted(kind: str, count: st.SearchStrategy[int] = COUNT) -> st.SearchStrategy[Profile]:
    names = [str(place) for place in range(15)]
    filled = st.dictionaries(st.sampled_from(names), count).filter(lambda c: sum(c.values()) > 0)
    return filled.map(lambda counts: profile(kind, counts))


def pairs(test: DriftTest) -> st.SearchStrategy[tuple[Profile, Profile]]:
    return st.sampled_from(sorted(test.kinds)).flatmap(
        lambda kind: st.tuples(counted(kind), counted(kind))
    )


def scaled(of: Profile, times: int) -> Profile:
    return profile(of.kind, {name: n * times for name, n in of.counts.items()})


def test_entries_are_found() -> None:
    assert len(list(TESTS)) >= 3


@every_test
def test_it_says_what_it_is_for(test: DriftTest) -> None:
    assert test.kinds
    assert test.kinds <= {CATEGORICAL, NUMERIC}
    assert test.min_effect is None or test.min_effect > 0


@every_test
@given(data=st.data())
def test_the_same_shares_are_no_drift(test: DriftTest, data: st.DataObject) -> None:
    one, _ = data.draw(pairs(test))
    for times in (1, 7):
        found = test.score(one, scaled(one, times))
        assert found.effect == pytest.approx(0, abs=1e-9)
        assert found.statistic == pytest.approx(0, abs=1e-6)
        assert found.p is None or found.p == pytest.approx(1)


@every_test
@given(data=st.data())
def test_scores_are_finite_and_probabilities_are(test: DriftTest, data: st.DataObject) -> None:
    found = test.score(*data.draw(pairs(test)))
    assert isfinite(found.statistic)
    assert isfinite(found.effect)
    assert found.effect >= 0
    assert found.p is None or 0 <= found.p <= 1
    assert (found.p is None) == (test.min_effect is None)


@every_test
@given(data=st.data())
def test_inputs_are_not_changed(test: DriftTest, data: st.DataObject) -> None:
    one, other = data.draw(pairs(test))
    before = deepcopy((one, other))
    first = test.score(one, other)
    assert (one, other) == before
    assert test.score(one, other) == first


@every_test
@given(data=st.data())
def test_both_orders_score_the_same_where_it_says_so(test: DriftTest, data: st.DataObject) -> None:
    one, other = data.draw(pairs(test))
    if test.symmetric:
        there, back = test.score(one, other), test.score(other, one)
        assert there.statistic == pytest.approx(back.statistic, abs=1e-9)
        assert there.effect == pytest.approx(back.effect, abs=1e-9)
        assert there.p == pytest.approx(back.p, abs=1e-9)


@every_test
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_the_order_in_which_bins_were_counted_does_not_matter(
    test: DriftTest, data: st.DataObject, random: Random
) -> None:
    one, other = data.draw(pairs(test))
    names = list(other.counts)
    random.shuffle(names)
    turned = profile(other.kind, {name: other.counts[name] for name in names})
    assert test.score(one, turned) == test.score(one, other)


@every_test
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_names_of_categories_do_not_matter(
    test: DriftTest, data: st.DataObject, random: Random
) -> None:
    if CATEGORICAL not in test.kinds:
        return
    one, other = data.draw(st.tuples(counted(CATEGORICAL), counted(CATEGORICAL)))
    names = [str(place) for place in range(15)]
    renamed = dict(zip(names, random.sample(names, len(names)), strict=True))
    found = test.score(
        *(profile(CATEGORICAL, {renamed[k]: n for k, n in p.counts.items()}) for p in (one, other))
    )
    wanted = test.score(one, other)
    assert found.statistic == pytest.approx(wanted.statistic, abs=1e-9)
    assert found.effect == pytest.approx(wanted.effect, abs=1e-9)


@every_test
@given(data=st.data())
def test_a_bin_empty_on_both_sides_changes_nothing(test: DriftTest, data: st.DataObject) -> None:
    one, other = data.draw(pairs(test))
    kept = [profile(p.kind, {k: n for k, n in p.counts.items() if n}) for p in (one, other)]
    padded = [
        profile(p.kind, {str(place): p.counts.get(str(place), 0) for place in range(15)})
        for p in (one, other)
    ]
    assert test.score(*padded) == test.score(*kept)


@every_test
def test_more_drift_is_more_effect(test: DriftTest) -> None:
    """Rows that move from one end to the other, a tenth of them at a time."""
    for kind in sorted(test.kinds):
        before = profile(kind, {"0": 5_000, "5": 2_000, "12": 3_000})
        moved = [
            profile(kind, {"0": 5_000 - 500 * step, "5": 2_000, "12": 3_000 + 500 * step})
            for step in range(11)
        ]
        effects = [test.score(before, now).effect for now in moved]
        assert effects == sorted(effects)
        assert effects[0] < effects[1] < effects[10]


@every_test
@given(data=st.data())
def test_the_effect_does_not_grow_with_the_rows(test: DriftTest, data: st.DataObject) -> None:
    """Counts are scaled from where no bin is rare to either side."""
    few = st.integers(0, 50)
    kind = data.draw(st.sampled_from(sorted(test.kinds)))
    one, other = (scaled(data.draw(counted(kind, few)), 100_000) for _ in range(2))
    effect = test.score(one, other).effect
    assert test.score(scaled(one, 10), scaled(other, 10)).effect == pytest.approx(effect, abs=1e-9)
