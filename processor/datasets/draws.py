"""Draws that depend on a name and a seed alone: the same row draws the same number everywhere."""

from __future__ import annotations

import hashlib

from pyspark.sql import Column
from pyspark.sql import functions as F

_HEX_DIGITS = 13  # 52 bits: what a double holds exactly
_SPAN = float(16**_HEX_DIGITS)


def draw(name: Column, salt: str) -> Column:
    """A number in [0, 1) for each `name`: the first 52 bits of MD5("salt|name")."""
    digest = F.md5(F.concat(F.lit(f"{salt}|"), name))
    number = F.conv(F.substring(digest, 1, _HEX_DIGITS), 16, 10).cast("long")
    return number / F.lit(_SPAN)


def draw_one(name: str, salt: str) -> float:
    """The same number for one name, without Spark."""
    digest = hashlib.md5(f"{salt}|{name}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:_HEX_DIGITS], 16) / _SPAN
