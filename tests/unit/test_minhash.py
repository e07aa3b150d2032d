"""MinHash keys: equal sets share all, like sets share one as often as the formula says."""

from __future__ import annotations

from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.datasets.minhash import BANDS, FACTORS, ROWS, TERMS, keys

hashes = st.integers(-(2**63), 2**63 - 1)


def by_hand(members: set[int]) -> list[int]:
    """The keys of one set, in plain Python."""
    found = []
    for band in range(BANDS):
        key = 0
        for row in range(ROWS):
            n = band * ROWS + row
            mixed = [(m * int(FACTORS[n]) + int(TERMS[n])) % 2**64 >> 32 for m in members]
            key = (key + min(mixed)) * int(FACTORS[band]) % 2**64
        found.append(key if key < 2**63 else key - 2**64)
    return found


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.none() | st.sets(hashes, max_size=5), max_size=5))
def test_keys_are_those_of_the_definition(sets: list[set[int] | None]) -> None:
    listed = [None if each is None else list(each) for each in sets]
    found = keys(pa.array(listed, pa.list_(pa.int64()))).to_pylist()
    assert found == [by_hand(each) if each else [] for each in sets]


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8])
def test_sets_share_a_key_as_often_as_the_formula_says(similarity: float) -> None:
    """2,000 pairs of known similarity: within four standard errors of 1 - (1 - s^r)^b."""
    rng, pairs, union = Random(1), 2000, 40
    shared = round(similarity * union)
    listed = []
    for _ in range(pairs):
        members = [rng.getrandbits(63) for _ in range(union)]
        apart = (union - shared) // 2
        listed += [members[: shared + apart], members[:shared] + members[shared + apart :]]
    found = keys(pa.array(listed, pa.list_(pa.int64()))).to_pylist()
    met = sum(bool(set(found[n]) & set(found[n + 1])) for n in range(0, 2 * pairs, 2))
    expected = 1 - (1 - similarity**ROWS) ** BANDS
    error = (expected * (1 - expected) / pairs) ** 0.5
    assert abs(met / pairs - expected) <= 4 * error + 1 / pairs
