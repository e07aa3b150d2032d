"""Sampling policies one after another: the probability of a row is the product of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from processor.checked import checked
from processor.datasets.sampling.base import READ, Policy
from processor.plugins import Registry
from processor.sections import Section

Cells = tuple[str, ...]
"""The cell of a row in each policy of a chain."""

_CHANCES = T.StructType(
    [
        T.StructField("cells", T.ArrayType(T.StringType())),
        T.StructField("inclusion_prob", T.DoubleType()),
    ]
)


class ChainConfig(Section):
    """`policies`, each with its parameters; versions of fewer effective rows are refused."""

    policies: tuple[dict[str, Any], ...] = Field(min_length=1)
    min_effective: float = Field(default=0.0, ge=0)


@dataclass(frozen=True)
class Link:
    """A policy, and its parameters, checked."""

    policy: Policy
    params: Any


@dataclass(frozen=True)
class Chain:
    """Policies in the order in which they choose, each from what those before it leave."""

    links: tuple[Link, ...]
    min_effective: float = 0.0

    def reads(self) -> list[Column]:
        """What the policies read of an inference, as one column `read`; no column for nothing."""
        named: dict[str, Column] = {}
        for link in self.links:
            named |= link.policy.reads(link.params)
        columns = [column.alias(name) for name, column in sorted(named.items())]
        return [F.struct(*columns).alias(READ)] if columns else []

    @property
    def of_committee(self) -> bool:
        """Whether a policy looks at what others said of the same request."""
        return any(link.policy.of_committee(link.params) for link in self.links)

    def cells(self) -> Column:
        """The cells of a row."""
        return F.array(*(link.policy.cell(link.params) for link in self.links))

    def score(self) -> Column:
        """What the first policy that goes by a number goes by; null where none does."""
        return F.coalesce(*(link.policy.score(link.params) for link in self.links))

    def allot(self, counts: Mapping[Cells, float]) -> dict[Cells, float]:
        """The probability of the rows of each combination of cells.

        A policy's budget is held against the rows that those before it are expected to leave.
        Where there is no row, no policy is asked.
        """
        if not counts:
            return {}
        chances = dict.fromkeys(sorted(counts), 1.0)
        for place, link in enumerate(self.links):
            left: dict[str, float] = {}
            for cells, chance in chances.items():
                left[cells[place]] = left.get(cells[place], 0.0) + counts[cells] * chance
            given = link.policy.allot(left, link.params)
            chances = {cells: chance * given[cells[place]] for cells, chance in chances.items()}
        return chances


def chain(told: Mapping[str, Any], policies: Registry[Policy], where: str) -> Chain:
    """The chain that `sampling` of a dataset means: one `policy`, or a list of `policies`.

    Raises:
        ConfigError: a policy or a key that is not known; `where` says which file to edit.
    """
    common = {key: told[key] for key in ChainConfig.model_fields if key in told}
    rest = {key: value for key, value in told.items() if key not in common}
    shape = {**common, **rest} if "policies" in common else {**common, "policies": (rest,)}
    config = checked(ChainConfig, shape, where)
    links = tuple(_link(dict(each), policies, where) for each in config.policies)
    return Chain(links, config.min_effective)


def _link(told: dict[str, Any], policies: Registry[Policy], where: str) -> Link:
    policy = policies[str(told.pop("policy", "all"))]
    return Link(policy, checked(policy.params, told, where))


def counted(rows: DataFrame) -> dict[Cells, int]:
    """How many rows each combination of cells has: what `Chain.allot` needs, and no row."""
    found = rows.groupBy("cells").count().collect()
    return {tuple(row["cells"]): row["count"] for row in found}


def with_chances(rows: DataFrame, chances: Mapping[Cells, float]) -> DataFrame:
    """`rows` with `inclusion_prob`; null in cells that no row had that was counted."""
    told = [(list(cells), chance) for cells, chance in chances.items()]
    table = rows.sparkSession.createDataFrame(told, _CHANCES)
    return rows.join(F.broadcast(table), "cells", "left")
