"""Rows as tf.train.Example, the same bytes for the same row, written without TensorFlow.

The messages (tensorflow/core/example/example.proto, feature.proto), outermost first:

    Example   { features: Features = 1 }
    Features  { feature: map<string, Feature> = 1 }
    Feature   { bytes_list: BytesList = 1 | float_list: FloatList = 2 | int64_list: Int64List = 3 }
    …List     { value: repeated = 1 }, numbers packed

Protobuf leaves the order of a map open; here features are sorted by the bytes of their names.
A null has no feature; an empty list has one, empty.
Columns are encoded whole, so that the cost of a row is little more than its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from processor.datasets.plain import plain

FIRST, SECOND, THIRD = b"\x0a", b"\x12", b"\x1a"
"""Tags of the length-delimited fields 1, 2 and 3."""

VARINT_BYTES = 10  # what 64 bits need, 7 in each
_NOTHING = pa.scalar(b"", pa.large_binary())


def encode(rows: pa.RecordBatch) -> pa.LargeBinaryArray:
    """Each row as its Example; raises ProcessorError for a type that has no plain form."""
    names = sorted(rows.schema.names, key=str.encode)
    entries = [pc.fill_null(_entry(name, plain(rows.column(name))), _NOTHING) for name in names]
    return delimited(FIRST, _joined(*entries))


def delimited(tag: bytes, bodies: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Each body behind its tag and its length; few lengths differ, so each is encoded once."""
    lengths = pc.binary_length(bodies).dictionary_encode()
    heads = [tag + varint(length) for length in lengths.dictionary.to_pylist()]
    if len(heads) == 1:
        return _joined(pa.scalar(heads[0], pa.large_binary()), bodies)
    return _joined(pa.array(heads, pa.large_binary()).take(lengths.indices), bodies)


def varint(number: int) -> bytes:
    """A number that is not negative, 7 bits a byte, lowest first."""
    out = bytearray()
    while number >= 0x80:  # noqa: PLR2004  # the bit that says: more follows
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def payloads(encoded: pa.LargeBinaryArray) -> Iterator[bytes]:
    """The bytes of each row."""
    data = memoryview(encoded.buffers()[2] or b"")
    ends = _offsets(encoded).tolist()
    return (bytes(data[start:end]) for start, end in pairwise(ends))


def _entry(name: str, lists: pa.LargeListArray) -> pa.LargeBinaryArray:
    """The map's entry of one feature in each row; null where the row has none."""
    key = FIRST + varint(len(name.encode())) + name.encode()
    head = pa.scalar(key, pa.large_binary())
    return delimited(FIRST, _joined(head, delimited(SECOND, _feature(lists))))


def _feature(lists: pa.LargeListArray) -> pa.LargeBinaryArray:
    items = lists.values
    if pa.types.is_large_binary(items.type):
        return delimited(FIRST, _regrouped(lists, delimited(FIRST, items)))
    if pa.types.is_float32(items.type):
        return delimited(SECOND, _packed(_regrouped(lists, _floats(items))))
    return delimited(THIRD, _packed(_regrouped(lists, _varints(items))))


def _packed(bodies: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """Numbers of a list as one field; no numbers are no field."""
    return pc.if_else(pc.equal(pc.binary_length(bodies), 0), bodies, delimited(FIRST, bodies))


def _regrouped(lists: pa.LargeListArray, items: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """The encoded items of each list behind one another: the same bytes, cut where lists end."""
    cuts = _offsets(items)[lists.offsets.to_numpy(zero_copy_only=False)]
    return _binary(cuts, items.buffers()[2], lists.is_valid())


def _floats(items: pa.Array) -> pa.LargeBinaryArray:
    numbers = items.to_numpy(zero_copy_only=False).astype("<f4", copy=False)
    return _binary(np.arange(len(numbers) + 1) * 4, pa.py_buffer(numbers.tobytes()))


def _varints(items: pa.Array) -> pa.LargeBinaryArray:
    """64 bits each, two's complement: a negative number takes all ten bytes."""
    numbers = items.to_numpy(zero_copy_only=False).astype(np.int64, copy=False).view(np.uint64)
    places = np.arange(VARINT_BYTES, dtype=np.uint64)
    rest = numbers[:, None] >> (places * np.uint64(7))
    last = np.maximum((rest != 0).sum(axis=1), 1) - 1
    groups = (rest & np.uint64(0x7F)).astype(np.uint8)
    groups |= np.where(places < last[:, None], 0x80, 0).astype(np.uint8)
    data = groups[places <= last[:, None]]
    return _binary(np.concatenate(([0], np.cumsum(last + 1))), pa.py_buffer(data.tobytes()))


def _binary(
    cuts: npt.NDArray[np.int64], data: pa.Buffer | None, valid: pa.Array | None = None
) -> pa.LargeBinaryArray:
    """Pieces of `data` between the cuts; null where not `valid`."""
    offsets = pa.py_buffer(cuts.astype(np.int64).tobytes())
    bits = None if valid is None else valid.buffers()[1]
    buffers = [bits, offsets, data or pa.py_buffer(b"")]
    return pa.Array.from_buffers(pa.large_binary(), len(cuts) - 1, buffers)


def _offsets(encoded: pa.LargeBinaryArray) -> npt.NDArray[np.int64]:
    whole = np.frombuffer(encoded.buffers()[1], np.int64)
    return whole[encoded.offset : encoded.offset + len(encoded) + 1]


def _joined(*parts: Any) -> pa.LargeBinaryArray:  # noqa: ANN401  # pyarrow has no types
    return pc.binary_join_element_wise(*parts, _NOTHING)
