"""Inference events as a service would send them, many at a time.

Avro encodes a few of them, whose ids, times and numbers are known; in their bytes these are then
written over for thousands at once. What varies has the same length in all of them.
"""

from __future__ import annotations

import io
import json
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np
from numpy.typing import NDArray

from processor.avro.contracts import contract
from processor.avro.framing import CONFLUENT_MAGIC

Bytes = NDArray[np.uint8]

SCHEMA_ID = 1  # the writer schema's, in Confluent's framing
MODEL = "bench-classifier"
FORMS = 16  # events of different texts and lengths
NUMBERS = tuple(f"number_{letter}" for letter in "abcdefgh")
WORDS = ("red", "green", "blue", "a longer word", "two words", "Grüße")
EPOCH_US = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
BETWEEN_US = 1_000  # microseconds from one event to the next
MICROS_PER_MILLI = 1000
TIME_BYTES = 8  # of a zigzag number between 2 ** 49 and 2 ** 56, as times of this century are
_DASHES = (8, 13, 18, 23)
_DIGIT_PLACES = [place for place in range(36) if place not in _DASHES]
_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], dtype=np.uint8)


@dataclass(frozen=True)
class Form:
    """The bytes of one encoded event, and where in them stands what differs between events."""

    body: Bytes
    event_id: int
    inference_id: int
    times: tuple[int, ...]
    numbers: tuple[int, ...]
    share: int
    rest: int


@dataclass(frozen=True)
class Said:
    """One message: key and value."""

    key: bytes
    value: bytes


def forms() -> list[Form]:
    """Every form; their mean length is the events' (about 450 bytes)."""
    schema = fastavro.parse_schema(json.loads(contract("InferenceEvent").text))
    return [_form(schema, number) for number in range(FORMS)]


def events(kinds: list[Form], rng: np.random.Generator, first: int, count: int) -> Iterator[Said]:
    """Events `first` to `first + count - 1`, those of each form in turn."""
    for number, form in enumerate(kinds):
        order = np.arange(first + number, first + count, len(kinds), dtype=np.int64)
        yield from _filled(form, rng, order)


def _form(schema: Any, number: int) -> Form:  # noqa: ANN401  # as fastavro has it
    event_id, inference_id = (str(uuid.UUID(int=(1 << 120) + number + n)) for n in (0, 1 << 60))
    marks = [1e300 * (1 + place / 100) for place in range(len(NUMBERS) + 2)]
    word = WORDS[number % len(WORDS)]
    event = {
        "event_id": event_id,
        "event_time": EPOCH_US,
        "source": "urn:bench:scorer",
        "subject_key": f"person-{number:08d}",
        "inference_id": inference_id,
        "session_id": f"session-{number:012d}",
        "task": "CLASSIFICATION",
        "model_name": MODEL,
        "model_version": "7",
        "role": "PRIMARY",
        "response_time": EPOCH_US,
        "status": "OK",
        "features_num": dict(zip(NUMBERS, marks, strict=False)),
        "features_str": {"colour": word, "country": "de", "device": "phone", "plan": "b" * number},
        "pred_label": "yes",
        "pred_value": 0.5,
        "class_probs": {"yes": marks[-2], "no": marks[-1]},
        "input_tokens": 7,
    }
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, event)
    body = CONFLUENT_MAGIC + SCHEMA_ID.to_bytes(4, "big") + out.getvalue()
    time = body.index(_time(EPOCH_US))
    *numbers, share, rest = (body.index(struct.pack("<d", mark)) for mark in marks)
    return Form(
        body=np.frombuffer(body, dtype=np.uint8),
        event_id=body.index(event_id.encode()),
        inference_id=body.index(inference_id.encode()),
        times=(time, body.index(_time(EPOCH_US), time + 1)),
        numbers=tuple(numbers),
        share=share,
        rest=rest,
    )


def _time(micros: int) -> bytes:
    return bytes(_zigzag(np.array([micros], dtype=np.int64))[0])


def _zigzag(micros: NDArray[np.int64]) -> Bytes:
    """Times as Avro writes them: seven bits a byte, low ones first."""
    shifts = np.arange(TIME_BYTES, dtype=np.int64) * 7
    bits = ((micros[:, None] << 1) >> shifts) & 0x7F
    bits[:, :-1] |= 0x80
    return bits.astype(np.uint8)


def _ids(rng: np.random.Generator, micros: NDArray[np.int64]) -> Bytes:
    """UUIDs of version 7 as text: a time in milliseconds, and random bits."""
    count = len(micros)
    raw = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    stamp = (micros // MICROS_PER_MILLI).astype(">i8").view(np.uint8).reshape(count, 8)
    raw[:, :6] = stamp[:, 2:]
    raw[:, 6] = raw[:, 6] & 0x0F | 0x70
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((count, 36), ord("-"), dtype=np.uint8)
    text[:, _DIGIT_PLACES] = _HEX[raw].reshape(count, 32)
    return text


def _doubles(values: NDArray[np.float64]) -> Bytes:
    return np.ascontiguousarray(values, dtype="<f8").view(np.uint8).reshape(len(values), 8)


def _filled(form: Form, rng: np.random.Generator, order: NDArray[np.int64]) -> Iterator[Said]:
    count, size = len(order), len(form.body)
    rows = np.repeat(form.body[None, :], count, axis=0)
    micros = EPOCH_US + order * BETWEEN_US
    for place in (form.event_id, form.inference_id):
        rows[:, place : place + 36] = _ids(rng, micros)
    for place in form.times:
        rows[:, place : place + TIME_BYTES] = _zigzag(micros)
    for number, place in enumerate(form.numbers):
        drawn = rng.normal(size=count)
        # Half of a model's numbers are counts and ages, which compress; the others do not.
        values = drawn if number % 2 else np.round(40 + 10 * drawn)
        rows[:, place : place + 8] = _doubles(values)
    share = rng.random(count)
    rows[:, form.share : form.share + 8] = _doubles(share)
    rows[:, form.rest : form.rest + 8] = _doubles(1 - share)
    data, key = rows.tobytes(), form.inference_id
    for at in range(0, count * size, size):
        yield Said(data[at + key : at + key + 36], data[at : at + size])
