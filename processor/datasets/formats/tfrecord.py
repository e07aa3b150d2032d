"""tfrecord: TFRecord files of tf.train.Example; a null has no feature, a number is 32 bits.

A record is its length (8 bytes, little-endian), the masked CRC-32C of those 8 bytes, its bytes,
and the masked CRC-32C of them (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from processor.datasets import writing
from processor.datasets.example import encode, payloads
from processor.datasets.formats.base import Format
from processor.errors import DataRefused

HEAD_BYTES, FOOT_BYTES = 12, 4
MASK_DELTA = 0xA282EAD8  # tensorflow/core/lib/hash/crc32c.h
WINDOW = 1 << 20  # bytes read at a time when counting


def records(rows: pa.RecordBatch) -> pa.Buffer:
    """The rows as records, one behind the other."""
    encoded = encode(rows)
    lengths = pc.binary_length(encoded).dictionary_encode()
    heads = pa.array([_head(n) for n in lengths.dictionary.to_pylist()], pa.large_binary())
    sums = (google_crc32c.value(each) for each in payloads(encoded))
    checks = np.fromiter(sums, np.uint32, len(encoded))
    feet = pa.Array.from_buffers(
        pa.binary(FOOT_BYTES), len(encoded), [None, pa.py_buffer(_masked(checks).tobytes())]
    ).cast(pa.large_binary())
    ends = pa.scalar(b"", pa.large_binary())
    framed = pc.binary_join_element_wise(heads.take(lengths.indices), encoded, feet, ends)
    return framed.buffers()[2] or pa.py_buffer(b"")


def write(rows: DataFrame, uri: str) -> None:
    """One TFRecord file, not compressed, for each split of each partition."""
    writing.write(rows, uri, records)


def count(source: pa.NativeFile) -> int:
    """How many records there are, by their lengths.

    Raises:
        DataRefused: the file ends within a record.
    """
    rows, at, size = 0, 0, source.size()
    while at + HEAD_BYTES + FOOT_BYTES <= size:
        window, step = source.read_at(WINDOW, at), 0
        while step + HEAD_BYTES <= len(window):
            (length,) = struct.unpack_from("<Q", window, step)
            step += HEAD_BYTES + length + FOOT_BYTES
            rows += 1
        at += step
    if at != size:
        raise DataRefused("a TFRecord file ends within a record", remedy="build the version again")
    return rows


def _head(length: int) -> bytes:
    told = struct.pack("<Q", length)
    check = np.array([google_crc32c.value(told)], np.uint32)
    return told + _masked(check).tobytes()


def _masked(checks: np.ndarray) -> np.ndarray:
    """Rotated right by 15 bits, plus a constant: so that a CRC of data with CRCs is no CRC."""
    turned = (checks >> np.uint32(15)) | (checks << np.uint32(17))
    return (turned + np.uint32(MASK_DELTA)).astype("<u4")


ENTRY = Format("tfrecord", ".tfrecord", write, count)
