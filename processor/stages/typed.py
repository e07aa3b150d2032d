"""How log rows become typed rows: one each, good or bad, with the reasons beside it."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.avro.contracts import contract
from processor.avro.decode import DEFECTS, decode
from processor.avro.framing import LARGEST_RECORD
from processor.checks import defects
from processor.stages.schemas import Schemas
from processor.tables import RECORDS

FIRST_ATTEMPT = 1


def typed(
    log: DataFrame,
    table: str,
    schemas: Schemas,
    *also: str,
    largest: int = LARGEST_RECORD,
) -> DataFrame:
    """The typed rows of log rows of one table, whatever they hold, and their columns `also`.

    Each is the row's first attempt, and known to the batch that landed it.
    """
    record = RECORDS[table]
    decoded = decode(log, contract(record), schemas, largest)
    broken = F.when(F.col("event").isNull(), F.array().cast(DEFECTS))
    checked = defects(record, F.col("event"), F.col("timestamp"))
    return decoded.select(
        "batch_id",
        F.lit(FIRST_ATTEMPT).alias("attempt"),
        *also,
        F.struct(
            *("batch_id", "topic", "partition", "offset", "timestamp"),
            F.col("schema_ref").alias("schema"),
        ).alias("origin"),
        F.concat("decode_defects", broken.otherwise(checked)).alias("defects"),
        "event.*",
    )
