"""A batch with poison in it: nothing stops it, nothing is lost, and nothing is read wrongly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from processor.avro import defects
from processor.avro.contracts import contract
from processor.local.stack import Stack
from processor.stages.pipeline import stage
from tests.kafka.lab import Lab, Record, body, said
from tests.spark.messages import (
    Body,
    Writer,
    bodies,
    canonical,
    lengths_that_lie,
    oracle,
    refused,
    writers,
)
from tests.spark.test_decode import same

MESSAGES, DAMAGED, SEED = 200_000, 2_000, 7
TEMPLATES = 50  # good bodies, each encoded once
LARGEST = 50_000  # bytes of a value, for this warehouse
READER = contract("InferenceEvent").schema
BOMB = b"\xfe\xff\xff\xff\x0f"  # a length of two gigabytes


@dataclass(frozen=True)
class Damage:
    """What was done to a message, and what it says to fastavro, if it is read at all."""

    why: str
    record: Record
    event: Body | None = None


def known() -> dict[str, Writer]:
    return {**writers("InferenceEvent", 1), "foreign": Writer(contract("GroundTruth").schema, 77)}


def folder(home: Path) -> Path:
    """Every schema that a message here may name; there is no registry."""
    place = home / "schemas"
    place.mkdir()
    index: dict[str, str] = {}
    for name, writer in known().items():
        (place / f"{name}.avsc").write_text(writer.text)
        index |= {str(writer.number): f"{name}.avsc", str(writer.guid): f"{name}.avsc"}
    (place / "index.json").write_text(json.dumps(index))
    return place


def framed(writer: Writer, encoded: bytes, number: int) -> Record:
    value, headers = writer.framings()[number % 3](encoded)
    return Record(value, headers=tuple((h["key"], h["value"]) for h in headers))


def good(writer: Writer) -> list[Record]:
    """Undamaged messages in each framing, to be sent again and again."""
    encoded = [body(said(f"template {n}"), writer.text) for n in range(TEMPLATES)]
    return [framed(writer, each, n) for each in encoded for n in range(3)]


def damaged(rng: Random) -> Iterator[Damage]:
    """One message after the other, each damaged in another way."""
    by_name = known()
    writer = by_name["same"]
    source, others = bodies(rng, writer), cycle(("newer", "older"))
    fixed = [
        Damage(m.why, Record(m.value, headers=tuple((h["key"], h["value"]) for h in m.headers)))
        for m in (*refused(rng, writer, by_name["foreign"]), *lengths_that_lie(writer))
    ]
    fixed.append(Damage("too large", Record(writer.confluent(bytes(LARGEST))[0])))
    fixed.append(Damage("no Avro at all", Record(rng.randbytes(100).lstrip(b"\x00\xc3"))))
    for number in range(DAMAGED):
        whole = next(source)
        for why, spoiled in _spoiled(rng, whole):
            yield from _judged(why, spoiled, writer, number)
        yield from _judged("another version", whole, by_name[next(others)], number)
        yield fixed[number % len(fixed)]


def _spoiled(rng: Random, whole: bytes) -> Iterator[tuple[str, bytes]]:
    place = rng.randrange(len(whole))
    flipped = bytes([whole[place] ^ (1 << rng.randrange(8))])
    yield "truncated", whole[:place]
    yield "extended", whole + rng.randbytes(rng.choice((1, 16)))
    yield "random bytes", rng.randbytes(rng.choice((1, 60)))
    yield "bit flip", whole[:place] + flipped + whole[place + 1 :]
    yield "length bomb", whole[:place] + BOMB + whole[place:]
    yield "item bomb", b"\x02e\x00\x02s\x02t\x00\x01" + BOMB + b"\x02k\x02v"
    yield "not UTF-8", b"\x04\xff\xfe" + whole[1 + whole[0] // 2 :]
    yield "zeros", bytes(len(whole))
    yield "said twice", whole + whole


def _judged(why: str, spoiled: bytes, writer: Writer, number: int) -> Iterator[Damage]:
    """Readers differ on bytes that no writer makes and that all the same can be read: left out."""
    event, code = oracle(spoiled, writer, READER)
    if code or canonical(spoiled, writer):
        yield Damage(why, framed(writer, spoiled, number), event)


@dataclass(frozen=True)
class Sent:
    """Everything that stands on the topic, by partition and offset."""

    lab: Lab
    records: dict[tuple[int, int], Record]
    damages: dict[tuple[int, int], Damage]


@pytest.fixture(scope="module")
def sent(
    stack: Stack, spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Sent:
    """The messages, landed and decoded by one run."""
    home = tmp_path_factory.mktemp("poison")
    settings = {
        "registry": {"url": None, "directory": str(folder(home))},
        "limits": {"record_bytes": LARGEST},
    }
    lab = Lab(spark_session, stack.bootstrap_servers, None, home, settings=settings).create()
    rng = Random(SEED)
    bad = list(islice(damaged(rng), DAMAGED))
    places = set(rng.sample(range(MESSAGES), DAMAGED))
    fine, spoiled = cycle(good(known()["same"])), iter(bad)
    records: dict[tuple[int, int], Record] = {}
    damages: dict[tuple[int, int], Damage] = {}
    for number in range(MESSAGES):
        place = (number % 2, number // 2)
        if number in places:
            damages[place] = next(spoiled)
        records[place] = damages[place].record if place in damages else next(fine)
    for partition in (0, 1):
        lab.send("inferences", (r for (p, _), r in records.items() if p == partition), partition)
    assert lab.run(only=[stage("snapshot"), stage("validate")]) is not None
    return Sent(lab, records, damages)


def test_damage_was_done_in_many_ways(sent: Sent) -> None:
    ways = Counter(each.why for each in sent.damages.values())
    assert len(ways) > 20, ways
    assert ways["bit flip"] > 50
    assert any(each.event is not None for each in sent.damages.values())


def test_every_message_is_in_the_log_bit_for_bit(sent: Sent) -> None:
    log = sent.lab.arrow("log").select(["partition", "offset", "key", "value", "headers"])
    assert log.num_rows == MESSAGES
    for row in log.to_pylist():
        record = sent.records[row["partition"], row["offset"]]
        headers = tuple((h["key"], h["value"]) for h in row["headers"] or ())
        assert (row["value"], headers) == (record.value, record.headers)


def test_what_is_damaged_is_a_defect_or_says_what_fastavro_says(sent: Sent) -> None:
    names = [field["name"] for field in READER["fields"]]
    table = sent.lab.arrow("inferences")
    assert table.num_rows == MESSAGES
    places = table.select(["origin", "defects"]).to_pylist()
    indices = {(r["origin"]["partition"], r["origin"]["offset"]): n for n, r in enumerate(places)}
    assert indices.keys() == sent.records.keys(), "one typed row a record"
    fine = [places[n] for place, n in indices.items() if place not in sent.damages]
    assert not [row for row in fine if row["defects"]]
    order = sorted(sent.damages, key=lambda place: indices[place])
    found = numbered(table.take([indices[place] for place in order]), names)
    for place, row in zip(order, found, strict=True):
        damage, codes = sent.damages[place], {defect["code"] for defect in row["defects"]}
        if codes & defects.MEANING.keys():
            assert damage.event is None, (damage, codes)
            assert all(row[name] is None for name in names)
        else:
            event = {name: row[name] for name in names}
            assert damage.event is not None, (damage, event)
            assert same(event, damage.event), (damage, event)


def numbered(table: pa.Table, names: list[str]) -> list[dict[str, Any]]:
    """Rows with times as microseconds, as fastavro reads them without their logical type.

    A damaged time may be one that Python's calendar does not have.
    """
    for name in names:
        if pa.types.is_timestamp(table.schema.field(name).type):
            place = table.column_names.index(name)
            table = table.set_column(place, name, table[name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows


def test_each_damage_has_the_code_that_tells_it(sent: Sent) -> None:
    table = sent.lab.arrow("inferences").select(["origin", "defects"])
    codes = {
        (row["origin"]["partition"], row["origin"]["offset"]): row["defects"][0]["code"]
        for row in table.to_pylist()
        if row["defects"]
    }
    by_why: dict[str, set[str]] = {}
    for place, damage in sent.damages.items():
        if damage.event is None:
            by_why.setdefault(damage.why, set()).add(codes[place])
    expected = {
        "too large": defects.TOO_LARGE,
        "null": defects.TOMBSTONE,
        "empty": defects.EMPTY_VALUE,
        "JSON": defects.UNKNOWN_FRAMING,
        "half an id": defects.TRUNCATED_FRAME,
        "unknown id": defects.UNKNOWN_SCHEMA,
        "another record's id": defects.SCHEMA_INCOMPATIBLE,
        "said twice": defects.LENGTH_MISMATCH,
        "a lie": defects.MALFORMED,
    }
    assert {why: by_why[why] for why in expected} == {why: {c} for why, c in expected.items()}
