"""Tables as anybody reads them: with deltalake or DuckDB, and none of this project's code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
from deltalake import DeltaTable

TYPED = (
    *("inferences", "feedback", "sessions", "feature_sets"),
    *("ground_truth", "lifecycle", "erasures"),
)


def arrow(table: Path) -> pa.Table:
    """A Delta table, read by deltalake through Arrow's own file system."""
    files = pafs.SubTreeFileSystem(str(table), pafs.LocalFileSystem())
    return DeltaTable(str(table)).to_pyarrow_table(filesystem=files)


@dataclass(frozen=True)
class Home:
    """What a demo left in its folder: tables, datasets, the report, and what was produced."""

    path: Path
    said: dict[str, Any]

    @cached_property
    def events(self) -> pd.DataFrame:
        """Everything that stands in the input topics, with the batch that had to land it."""
        found = pd.read_parquet(self.path / "events.parquet")
        years = found["timestamp"].dt.year
        return found.assign(batch_id=years - years.min() + 1)

    def table(self, name: str) -> pd.DataFrame:
        return arrow(self.path / "warehouse" / name).to_pandas()

    def typed(self) -> pd.DataFrame:
        """Where every typed row comes from, and its defects: the codes, joined."""
        rows = [
            {
                **{name: row["origin"][name] for name in ("topic", "partition", "offset")},
                "timestamp": row["origin"]["timestamp"],
                "table": table,
                "batch_id": row["batch_id"],
                "attempt": row["attempt"],
                "codes": ",".join(one["code"] for one in row["defects"]),
            }
            for table in TYPED
            for row in arrow(self.path / "warehouse" / table)
            .select(["origin", "batch_id", "attempt", "defects"])
            .to_pylist()
        ]
        return pd.DataFrame(rows)

    def manifests(self) -> dict[str, dict[str, Any]]:
        """The manifest of every dataset version, by version."""
        found = (self.path / "warehouse" / "dataset_files").glob("*/*/manifest.json")
        return {path.parent.name: json.loads(path.read_text()) for path in sorted(found)}

    def dataset(self) -> pd.DataFrame:
        """Every row of every version, as DuckDB reads the files, with its version and split."""
        pattern = self.path / "warehouse/dataset_files/*/*/parquet/*/*.parquet"
        with duckdb.connect() as connection:
            rows = connection.execute(
                "SELECT *, parse_path(filename)[-4] AS version, parse_path(filename)[-2] AS split"
                " FROM read_parquet($1, filename = true)",
                [str(pattern)],
            )
            return rows.df()
