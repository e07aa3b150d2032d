"""The same join in DuckDB, on the same files."""

from __future__ import annotations

from pathlib import Path

import duckdb
from deltalake import DeltaTable

from benchmarks.ledger.rows import NUMBERS
from benchmarks.ledger.world import METRIC, MODEL, WINDOW

LABELS = 2
_JOIN = """
create temp table chosen_keys as
with seen as (
  select inference_id, response_time from read_parquet($inferences)
  where model_name = $model and role in ('PRIMARY', 'CANARY') and status = 'OK'
), said as (
  select inference_id, event_id, op, value_bool, event_time as answered_at
  from read_parquet($feedback)
  where metric = $metric and kind = 'LABEL' and level = 'INFERENCE'
), last as (
  select inference_id, op, value_bool::varchar as label
  from seen join said using (inference_id)
  where answered_at between response_time and response_time + to_seconds($seconds)
  qualify row_number() over (partition by inference_id order by answered_at desc, event_id) = 1
), labelled as (
  select inference_id, label, hash(inference_id) / 18446744073709551615.0 as drawn
  from last where op <> 'RETRACT'
), chances as (
  select label, least(1.0, $each / count(*)) as inclusion_prob from labelled group by label
)
select inference_id, label, inclusion_prob from labelled join chances using (label)
where drawn < inclusion_prob
"""


def run(source: str, scratch: Path, target: Path, rows: int) -> None:
    """Writes a dataset of about so many rows, as many of each label."""
    files = {
        name: [uri.removeprefix("file://") for uri in DeltaTable(f"{source}/{name}").file_uris()]
        for name in ("inferences", "feedback")
    }
    told = {"model": f"{MODEL}-0", "metric": METRIC, "seconds": WINDOW.total_seconds()}
    with duckdb.connect(str(scratch)) as connection:
        connection.execute(_JOIN, {**files, **told, "each": rows / LABELS})
        connection.execute(_copy(target), {"inferences": files["inferences"]})


def _copy(target: Path) -> str:
    numbers = ", ".join(f"features_num['{name}'] as \"num.{name}\"" for name in NUMBERS)
    words = ", ".join(
        f"features_str['{name}'] as \"str.{name}\""
        for name in ("colour", "country", "device", "plan")
    )
    side = "hash(subject_key) / 18446744073709551615.0"
    return f"""
    copy (
      select inference_id, request_id, subject_key, model_name, model_version, response_time,
        {numbers}, {words}, label, propensity, inclusion_prob, 1 / inclusion_prob as weight,
        case when {side} < 0.8 then 'train' when {side} < 0.9 then 'validation' else 'test' end
          as split
      from read_parquet($inferences) join chosen_keys using (inference_id)
    ) to '{target}' (format parquet, compression zstd, partition_by (split))
    """  # noqa: S608  # our own names
