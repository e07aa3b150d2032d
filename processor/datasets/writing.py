"""Files that Python writes: each task encodes the rows of its partition, a batch at a time.

A task writes under a name of its own, and the names that tell of rows alone are given to the files
of the tasks that counted: one that failed, or ran twice, leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

Encode = Callable[[pa.RecordBatch], bytes | pa.Buffer]
"""Rows, without `split`, as the bytes of a file; files of several batches are those in a row."""

Task = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]

WRITTEN = pa.schema([("split", pa.string()), ("partition", pa.int32()), ("path", pa.string())])
_WRITTEN_BY_SPARK = "split string, partition int, path string"


def place(uri: str) -> tuple[pafs.FileSystem, str]:
    """Arrow's file system and path of a URI in the scheme that Spark knows."""
    if uri.startswith("file://"):
        return pafs.LocalFileSystem(), uri.removeprefix("file://")
    found: tuple[pafs.FileSystem, str] = pafs.FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return found


def write(rows: DataFrame, uri: str, encode: Encode) -> None:
    """A file for each split of each partition, in folders `split=<name>` below `uri`."""

    def task(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return _task(batches, uri, encode)

    written = over_batches(rows, task, _WRITTEN_BY_SPARK).collect()
    fs, root = place(uri)
    for split, partition, path in written:
        fs.create_dir(f"{root}/split={split}")
        fs.move(path, f"{root}/split={split}/part-{partition:05d}")


def over_batches(rows: DataFrame, task: Task, schema: str) -> DataFrame:
    """`rows.mapInArrow(task, schema)`, for columns of any name: Spark's own takes no dots."""

    def unpacked(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        return task(pa.RecordBatch.from_struct_array(batch.column(0)) for batch in batches)

    return rows.select(F.struct("*").alias("row")).mapInArrow(unpacked, schema)


def _task(batches: Iterable[pa.RecordBatch], uri: str, encode: Encode) -> Iterator[pa.RecordBatch]:
    running = TaskContext.get()
    if running is None:
        raise RuntimeError("files are written by Spark's tasks")
    fs, root = place(uri)
    folder = f"{root}/_tries"
    fs.create_dir(folder)
    files: dict[str, pa.NativeFile] = {}
    with ExitStack() as opened:
        for batch in batches:
            for split, part in parts(batch):
                if split not in files:
                    path = f"{folder}/{running.taskAttemptId()}-{split}"
                    files[split] = opened.enter_context(fs.open_output_stream(path))
                files[split].write(encode(part))
    listed = [
        {
            "split": split,
            "partition": running.partitionId(),
            "path": f"{folder}/{running.taskAttemptId()}-{split}",
        }
        for split in files
    ]
    yield pa.RecordBatch.from_pylist(listed, WRITTEN)


def parts(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each split, in their order, without `split`."""
    sides = batch.column("split")
    for split in pc.unique(sides).to_pylist():
        mine = batch.filter(pc.equal(sides, split))
        yield split, mine.select([name for name in batch.schema.names if name != "split"])
