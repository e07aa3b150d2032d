"""Snapshot and validate beside the usual way, in one run: `make bench`.

The usual way is a streaming query with `availableNow`, `from_avro` and a Delta append in
`foreachBatch`, all with their defaults. Both read the same topic in the same Spark session, in
turns; the first turn of each warms it up and does not count. Medians are printed with the least
and the most, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pyspark
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro

from processor.avro.contracts import contract
from processor.batches import Batch, next_ranges
from processor.config import Config, load
from processor.kafka.offsets import Broker
from processor.local.spark import on_demand
from processor.local.stack import Stack, running
from processor.resources import resource
from processor.simulate.census import YEARS, new_year
from processor.simulate.produce import Sender
from processor.simulate.timeline import Timeline
from processor.simulate.topics import create_topics
from processor.stages import snapshot, validate
from processor.stages.base import Context
from processor.warehouse import Warehouse

CONFLUENT_BYTES = 5


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"· {text}", file=sys.stderr)


def configured(folder: Path, stack: Stack) -> Config:
    """The shipped defaults, on this broker and registry."""
    flags = (
        f"warehouse={folder / 'warehouse'}",
        f"kafka.bootstrap_servers={stack.bootstrap_servers}",
        f"registry.url={stack.registry_url}",
        f"loops={resource('conf', 'loops')}",
    )
    return load(None, flags)


def produce(config: Config, events: int) -> int:
    """Sends that many inference events; how many there are, poisoned ones left out."""
    census = pq.read_table(resource("data", "employment_ma.parquet"))
    create_topics(config.kafka, config.topics, config.outputs)
    sent = 0
    for seed in range(events):
        timeline = Timeline.of(census, YEARS[:1], seed, None)
        span = (new_year(YEARS[0]), new_year(YEARS[0] + 2))
        said = (
            message
            for message in timeline.between(*span)
            if message.table == "inferences" and message.poison is None
        )
        wanted = [message for message, _ in zip(said, range(events - sent), strict=False)]
        Sender(config.kafka, config.registry, config.topics).send(wanted)
        sent += len(wanted)
        if sent >= events:
            break
    return sent


def ours(config: Config, start: Callable[[], SparkSession], folder: Path) -> None:
    """Snapshot with its proof, then validate, into a warehouse of its own."""
    bounds = Broker(config.kafka).bounds([config.topics.inferences])
    batch = Batch(1, next_ranges({}, bounds), datetime.now(UTC), "bench", config.hash, "bench")
    warehouse = Warehouse(str(folder))
    context = Context(config, warehouse, "bench", start, lambda _: None)
    snapshot.STAGE.run(context, batch)
    validate.STAGE.run(context, batch)


def naive(config: Config, start: Callable[[], SparkSession], folder: Path) -> None:
    """The usual way: it keeps no bytes, proves nothing, and stops at the first bad record."""
    spark = start()
    body = F.expr(f"substring(value, {CONFLUENT_BYTES + 1}, length(value))")
    rows = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", config.kafka.bootstrap_servers)
        .option("subscribe", config.topics.inferences)
        .option("startingOffsets", "earliest")
        .load()
        .select(from_avro(body, contract("InferenceEvent").text).alias("event"))
        .select("event.*")
    )

    def append(batch: DataFrame, _number: int) -> None:
        batch.write.format("delta").mode("append").save(f"file://{folder}/table")

    query = (
        rows.writeStream.foreachBatch(append)
        .option("checkpointLocation", f"file://{folder}/checkpoint")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()


def timed(
    ways: Mapping[str, Callable[[Config, Callable[[], SparkSession], Path], None]],
    config: Config,
    start: Callable[[], SparkSession],
    rounds: int,
    home: Path,
) -> dict[str, list[float]]:
    """Seconds of each way, in turns; the first turn is not among them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way(config, start, home / f"{name}-{number}")
            took = time.perf_counter() - begun
            say(f"{name}, turn {number}: {took:.1f} s{'' if number else ' (warming up)'}")
            if number:
                seconds[name].append(took)
    return seconds


def main() -> None:
    """Runs the benchmark and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bfp-bench-") as folder:
        home = Path(folder)
        with running(home / "local", say) as stack:
            config = configured(home, stack)
            say(f"producing {options.events:,} events")
            events = produce(config, options.events)
            with on_demand({}, say) as start:
                ways = {"naive": naive, "snapshot + validate": ours}
                seconds = timed(ways, config, start, options.rounds, home)
    show(events, seconds)


def show(events: int, seconds: dict[str, list[float]]) -> None:
    """The table, and what it was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    print(f"{events:,} inference events, {psutil.cpu_count()} cores, {memory:.0f} GiB,")
    print(f"Python {platform.python_version()}, Spark {pyspark.__version__}; broker beside it")
    print("| way | rows/s, median | least to most |\n|---|---|---|")
    for name, took in seconds.items():
        rates = sorted(events / each for each in took)
        middle = statistics.median(rates)
        print(f"| {name} | {middle:,.0f} | {rates[0]:,.0f} to {rates[-1]:,.0f} |")
    medians = {name: statistics.median(took) for name, took in seconds.items()}
    print(f"ratio to naive: {medians['naive'] / medians['snapshot + validate']:.2f}")


if __name__ == "__main__":
    main()
