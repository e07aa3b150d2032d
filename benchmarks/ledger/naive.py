"""The join as one writes it first in PySpark: features go along, and the plan is run twice."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from benchmarks.ledger.rows import NUMBERS
from benchmarks.ledger.world import METRIC, MODEL, WINDOW

LABELS = 2
TRAIN, VALIDATION = 0.8, 0.9  # below it, of a subject's draw
_HEX_DIGITS, _SPAN = 13, float(16**13)


def run(spark: SparkSession, source: str, target: str, rows: int) -> None:
    """Writes a dataset of about so many rows, as many of each label."""
    labelled = _labelled(spark, source)
    sizes = {row["label"]: row["count"] for row in labelled.groupBy("label").count().collect()}
    chances = {label: min(1.0, rows / LABELS / size) for label, size in sizes.items()}
    chance = F.create_map(*(F.lit(each) for pair in chances.items() for each in pair))
    chosen = labelled.withColumn("inclusion_prob", chance[F.col("label")]).where(
        _draw("inference_id") < F.col("inclusion_prob")
    )
    side = _draw("subject_key")
    chosen.select(
        *("inference_id", "request_id", "subject_key", "model_name", "model_version"),
        "response_time",
        *(F.col("features_num")[name].alias(f"num.{name}") for name in NUMBERS),
        *(
            F.col("features_str")[name].alias(f"str.{name}")
            for name in ("colour", "country", "device", "plan")
        ),
        *("label", "propensity", "inclusion_prob", (1 / F.col("inclusion_prob")).alias("weight")),
        F.when(side < TRAIN, "train")
        .when(side < VALIDATION, "validation")
        .otherwise("test")
        .alias("split"),
    ).write.partitionBy("split").parquet(f"file://{target}")


def _labelled(spark: SparkSession, source: str) -> DataFrame:
    """Each inference with its last answer within the window; those without one are left out."""
    inferences = spark.read.format("delta").load(f"file://{source}/inferences")
    answers = spark.read.format("delta").load(f"file://{source}/feedback")
    seen = inferences.where(
        (F.col("model_name") == f"{MODEL}-0")
        & F.col("role").isin("PRIMARY", "CANARY")
        & (F.col("status") == "OK")
    )
    said = answers.where(
        (F.col("metric") == METRIC) & (F.col("kind") == "LABEL") & (F.col("level") == "INFERENCE")
    ).select(
        *("inference_id", "op", "value_bool"),
        F.col("event_id").alias("answer_id"),
        F.col("event_time").alias("answered_at"),
    )
    lag = F.col("answered_at") - F.col("response_time")
    inside = seen.join(said, "inference_id").where(
        (lag >= F.expr("interval 0 seconds")) & (lag <= F.lit(WINDOW))
    )
    newest = Window.partitionBy("inference_id").orderBy(F.desc("answered_at"), "answer_id")
    last = inside.withColumn("place", F.row_number().over(newest)).where(F.col("place") == 1)
    return last.where(F.col("op") != "RETRACT").withColumn(
        "label", F.col("value_bool").cast("string")
    )


def _draw(name: str) -> Column:
    digest = F.md5(F.col(name))
    return F.conv(F.substring(digest, 1, _HEX_DIGITS), 16, 10).cast("double") / F.lit(_SPAN)
