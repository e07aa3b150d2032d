"""Identifiers that are the same for the same seed: version-7 UUIDs and pseudonyms."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

MICROS_PER_MILLI = 1000
RANDOM_A_BITS = 12
RANDOM_B_BITS = 62
PSEUDONYM_LENGTH = 32  # hexadecimal digits: 128 bits

Times = npt.NDArray[np.int64]


def uuid7s(times: Times, rng: np.random.Generator) -> list[str]:
    """One UUID of version 7 (RFC 9562) for each time, in microseconds since 1970: sorts by time."""
    a = rng.integers(0, 1 << RANDOM_A_BITS, len(times)).tolist()
    b = rng.integers(0, 1 << RANDOM_B_BITS, len(times)).tolist()
    millis = (times // MICROS_PER_MILLI).tolist()
    return [_uuid7(*parts) for parts in zip(millis, a, b, strict=True)]


def _uuid7(millis: int, random_a: int, random_b: int) -> str:
    high = f"{millis:012x}"
    low = f"{random_b | 2 << RANDOM_B_BITS:016x}"
    return f"{high[:8]}-{high[8:]}-7{random_a:03x}-{low[:4]}-{low[4:]}"


def pseudonym(person: int) -> str:
    """A name for a person that does not tell who it is, and is always the same."""
    return hashlib.sha256(f"census-person:{person}".encode()).hexdigest()[:PSEUDONYM_LENGTH]
