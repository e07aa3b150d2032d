"""What poison costs: snapshot and validate of a topic with 1 % damaged, beside the clean one.

`python -m benchmarks.poison` measures by itself; `poisoned` damages any stream of messages, and
`measured` gives the numbers to whoever prints them. Both topics are read in one session, in
turns; the first turn of each warms it up and does not count.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random

import fastavro
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from benchmarks.capture.settings import LOOP
from processor.avro.contracts import contract
from processor.avro.encode import by_id
from processor.config import Config, load
from processor.local.broker import start_broker
from processor.local.places import cache_dir
from processor.local.spark import on_demand
from processor.stages.pipeline import stage
from processor.stages.runner import take

EVENTS, TURNS, SHARE, SEED = 200_000, 5, 0.01, 7
SCHEMA_ID = 1
CLAIM = b"\xfe\xff\xff\xff\x0f"  # a length of two gigabytes, as Avro writes it
FRAME = 5  # bytes of Confluent's framing
QUEUED = 500_000  # messages
STAGES = ("snapshot", "validate")
Damage = Callable[[bytes, Random], bytes | None]
Say = Callable[[str], None]

WAYS: Sequence[Damage] = (
    lambda value, rng: value[: rng.randrange(FRAME, len(value))],
    lambda value, rng: value + rng.randbytes(16),
    lambda value, _: value + value[FRAME:],
    lambda value, _: by_id(2**31 - 1) + value[FRAME:],
    lambda value, rng: value[:FRAME] + rng.randbytes(len(value) - FRAME),
    lambda value, _: value[:FRAME] + CLAIM + value[FRAME:],
    lambda value, _: value[:FRAME] + b"\x02e\x00\x02s\x02t\x00\x01" + CLAIM + b"\x02k\x02v",
    lambda value, _: value[:FRAME] + b"\x04\xff\xfe" + value[FRAME:],
    lambda _value, _: json.dumps({"prediction": True}).encode(),
    lambda value, _: value[: FRAME - 2],
    lambda _value, _: b"",
    lambda _value, _: None,
)
"""Truncated, extended, said twice, of an unknown schema, random, with a length and with a number
of items that lie, not UTF-8, not Avro, half an id, empty, and a tombstone."""


@dataclass(frozen=True)
class Result:
    """Seconds of each turn; records a second of the median."""

    topic: str
    events: int
    seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Records a second, at the median."""
        return self.events / statistics.median(self.seconds)


def poisoned(values: Iterable[bytes], share: float, seed: int) -> Iterator[bytes | None]:
    """The same messages with a share of them damaged, in one way after the other."""
    rng, ways = Random(seed), cycle(WAYS)
    for value in values:
        yield next(ways)(value, rng) if rng.random() < share else value


def messages(count: int) -> Iterator[bytes]:
    """Inference events, few different ones, each encoded once."""
    return islice(cycle([_event(number) for number in range(100)]), count)


def _event(number: int) -> bytes:
    out = io.BytesIO()
    event = {
        "event_id": f"event {number:06}",
        "event_time": 1_735_689_600_000_000,
        "source": "urn:bench",
        "inference_id": f"inference {number:06}",
        "model_name": "bench",
        "model_version": "1",
        "task": "CLASSIFICATION",
        "role": "PRIMARY",
        "status": "OK",
        "pred_label": "yes",
        "class_probs": {"yes": 0.75, "no": 0.25},
        "features_num": {f"number_{n}": number / (n + 1) for n in range(12)},
        "features_str": {f"word_{n}": "some text" for n in range(6)},
    }
    schema = fastavro.parse_schema(json.loads(contract("InferenceEvent").text))
    fastavro.schemaless_writer(out, schema, event)
    return by_id(SCHEMA_ID) + out.getvalue()


def measured(say: Say, events: int = EVENTS, turns: int = TURNS) -> tuple[Result, Result]:
    """The clean topic and the poisoned one, on a broker of our own."""
    with tempfile.TemporaryDirectory(prefix="bfp-poison-") as folder:
        home = Path(folder)
        broker = start_broker(home / "kafka", cache_dir(), say, owned=True)
        try:
            servers = f"127.0.0.1:{broker.ports['client']}"
            _send(servers, "clean", messages(events))
            _send(servers, "poisoned", poisoned(messages(events), SHARE, SEED))
            found: dict[str, list[float]] = {"clean": [], "poisoned": []}
            with on_demand({}, say) as start:
                for turn in range(turns + 1):
                    for topic, seconds in found.items():
                        say(f"{topic}, turn {turn} of {turns}")
                        config = _config(home / f"{topic}-{turn}", servers, topic)
                        seconds.append(_seconds(config, start))
        finally:
            broker.stop()
    clean, bad = (Result(topic, events, tuple(each[1:])) for topic, each in found.items())
    return clean, bad


def _send(servers: str, topic: str, values: Iterable[bytes | None]) -> None:
    settings = {"linger.ms": 50, "queue.buffering.max.messages": QUEUED}
    producer = Producer({"bootstrap.servers": servers, **settings})
    for value in values:
        producer.produce(topic, value=value)
        producer.poll(0)
    producer.flush()


def _config(home: Path, servers: str, topic: str) -> Config:
    schemas, loops = home / "schemas", home / "loops"
    schemas.mkdir(parents=True)
    loops.mkdir()
    (loops / "bench.yaml").write_text(LOOP)
    (schemas / "InferenceEvent.avsc").write_text(contract("InferenceEvent").text)
    (schemas / "index.json").write_text(json.dumps({str(SCHEMA_ID): "InferenceEvent.avsc"}))
    flags = (
        f"warehouse={home / 'warehouse'}",
        f"kafka.bootstrap_servers={servers}",
        "registry.url=null",
        f"registry.directory={schemas}",
        f"topics.inferences={topic}",
        f"loops={loops}",
    )
    return load(None, flags, {})


def _seconds(config: Config, start: Callable[[], SparkSession]) -> float:
    begun = time.perf_counter()
    take(config, start, lambda _: None, only=[stage(name) for name in STAGES])
    return time.perf_counter() - begun


def main() -> None:
    """Prints both rates and what poison costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--turns", type=int, default=TURNS)
    asked = parser.parse_args()
    clean, bad = measured(lambda text: print(f"· {text}", file=sys.stderr), **vars(asked))
    for each in (clean, bad):
        least, most = min(each.seconds), max(each.seconds)
        print(f"{each.topic:9} {each.rate:>10,.0f} records/s  ({least:.2f} s to {most:.2f} s)")
    print(f"{SHARE:.0%} poison takes {clean.rate / bad.rate:.2f} times as long")


if __name__ == "__main__":
    main()
