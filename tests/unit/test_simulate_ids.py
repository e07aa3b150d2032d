"""Identifiers: valid, sorted by time, the same for the same seed."""

from __future__ import annotations

import uuid

import numpy as np

from processor.simulate.ids import pseudonym, uuid7s


def test_ids_are_version_7_uuids_that_carry_their_time() -> None:
    times = np.array([0, 1_451_606_400_123_456, 4_102_444_800_000_000])
    found = [uuid.UUID(text) for text in uuid7s(times, np.random.default_rng(1))]
    assert [each.version for each in found] == [7, 7, 7]
    assert {each.variant for each in found} == {uuid.RFC_4122}
    assert [each.int >> 80 for each in found] == [0, 1_451_606_400_123, 4_102_444_800_000]


def test_ids_follow_from_the_seed() -> None:
    times = np.zeros(1000, dtype=np.int64)
    first, again, other = (uuid7s(times, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == 1000


def test_a_pseudonym_is_stable_and_differs_between_persons() -> None:
    assert pseudonym(7) == pseudonym(7)
    assert len({pseudonym(person) for person in range(1000)}) == 1000
