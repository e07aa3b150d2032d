"""What a sampling policy is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame

from processor.config import Section


@dataclass(frozen=True)
class Policy:
    """A way to choose rows: it says with which probability, the draw says whether.

    `inclusion(rows, params)` is the probability in (0, 1] of each row of `rows`, decided from
    the rows alone, never from their order or partitioning.
    """

    name: str
    params: type[Section]
    inclusion: Callable[[DataFrame, Any], Column]
