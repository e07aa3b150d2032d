"""The baseline's own history: what drift and falling quality are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from processor.errors import ConfigError
from processor.loops import LoopConfig

_NOT_FEATURES = {"pred_label", "pred_score", "label"}


@dataclass(frozen=True)
class Reference:
    """Labelled predictions of the baseline: features by name, and what became of each row."""

    model_version: str
    table: pa.Table
    features: tuple[str, ...]

    def numeric(self) -> dict[str, np.ndarray]:
        """Numeric features, missing as NaN."""
        return {
            name: self.table[name].to_numpy().astype(float)
            for name in self.features
            if _is_number(self.table.schema.field(name).type)
        }

    def categorical(self) -> dict[str, list[str | None]]:
        """Categorical features, as text."""
        return {
            name: self.table[name].cast(pa.string()).to_pylist()
            for name in self.features
            if not _is_number(self.table.schema.field(name).type)
        }

    def accuracy(self, slices: tuple[str, ...]) -> Mapping[str, float]:
        """Share of right predictions among those with an answer, overall and by slice."""
        right = pa.compute.equal(self.table["pred_label"], self.table["label"])
        answered = self.table.filter(right.is_valid())
        hits = right.drop_null().to_numpy(zero_copy_only=False)
        found = {"all": float(hits.mean())}
        for name in slices:
            values = np.asarray(answered[name].to_pylist(), dtype=object)
            for each in sorted({one for one in values if one is not None}):
                found[f"{name}={each}"] = float(hits[values == each].mean())
        return found


def reference(loop: LoopConfig) -> Reference | None:
    """The loop's reference, if it names one; raises ConfigError if the file is not usable."""
    if loop.reference is None:
        return None
    try:
        table = pq.read_table(loop.reference.path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ConfigError(
            f"the reference of {loop.loop!r} cannot be read: {error}",
            remedy=f"put a Parquet file at {loop.reference.path}; the shipped loop's is made by"
            " `make demo`",
        ) from error
    needed = {"pred_label", "label", *loop.slices}
    if missing := sorted(needed - set(table.column_names)):
        raise ConfigError(
            f"{loop.reference.path}: no column {', '.join(missing)}",
            remedy="write the reference with the columns that the loop needs",
        )
    features = tuple(n for n in table.column_names if n not in needed | _NOT_FEATURES)
    return Reference(loop.reference.model_version, table, features)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
