"""The digest of rows: what a version says, whatever format says it and in whatever order.

A row is the SHA-256 of its tf.train.Example as `example.encode` writes it: numbers as 32-bit
floats, which is what the narrowest format keeps, and nothing for a null. Rows together are the
sum of theirs as 256-bit numbers, big-endian, modulo 2^256. So files may be cut anywhere, a row
that is there twice counts twice, and digests of parts add up to the digest of the whole.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from processor.datasets.example import encode, payloads
from processor.datasets.writing import over_batches, parts

MODULUS = 1 << 256
HEX_DIGITS = 64
_DIGESTS_BY_SPARK = "split string, digest string"
_DIGESTS = pa.schema([("split", pa.string()), ("digest", pa.string())])


def digest(rows: pa.Table | pa.RecordBatch) -> str:
    """The digest of rows that have the columns of a dataset's files, without `split`."""
    batches = [rows] if isinstance(rows, pa.RecordBatch) else rows.to_batches()
    return digest_of(example for batch in batches for example in payloads(encode(batch)))


def digest_of(examples: Iterable[bytes]) -> str:
    """The digest of rows that are Examples already, such as the records of a TFRecord file."""
    return _text(sum(_number(example) for example in examples))


def add(digests: Iterable[str]) -> str:
    """The digest of all rows of the parts."""
    return _text(sum(int(each, 16) for each in digests))


def digests(rows: DataFrame) -> dict[str, str]:
    """The digest of each split; what the driver is given is one digest a task and split."""
    told: dict[str, list[str]] = defaultdict(list)
    for split, text in over_batches(rows, _digests, _DIGESTS_BY_SPARK).collect():
        told[split].append(text)
    return {split: add(texts) for split, texts in sorted(told.items())}


def _digests(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    told: dict[str, list[str]] = defaultdict(list)
    for batch in batches:
        for split, part in parts(batch):
            told[split].append(digest(part))
    columns = {"split": list(told), "digest": [add(texts) for texts in told.values()]}
    yield pa.RecordBatch.from_pydict(columns, _DIGESTS)


def _number(example: bytes) -> int:
    return int.from_bytes(hashlib.sha256(example).digest(), "big")


def _text(total: int) -> str:
    return f"{total % MODULUS:0{HEX_DIGITS}x}"
