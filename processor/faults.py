"""What an error of Spark's JVM means to a person: something is down, or data are gone."""

from __future__ import annotations

from pyspark.errors import PySparkException

from processor.errors import RESTORE, Damaged, LossDetected, ProcessorError, Unavailable

_LOST = ("OffsetOutOfRange", "Some data may have been lost", "KAFKA_DATA_LOSS", "data loss")
_BROKER = (
    "org.apache.kafka.common.errors.TimeoutException",
    "org.apache.kafka.common.errors.DisconnectException",
    "No resolvable bootstrap urls",
    "Failed to construct kafka consumer",
    "UnknownTopicOrPartitionException",
)
_DISK = ("No space left on device", "Disk quota exceeded", "Read-only file system")
_FILE = ("PATH_NOT_FOUND", "FAILED_READ_FILE", "FileNotFoundException")
_DAMAGED = (
    # Spark and Hadoop
    *("PATH_NOT_FOUND", "FILE_NOT_EXIST", "No such file or directory", "does not exist"),
    *("is not a Parquet file", "can not read class", "ParquetDecodingException"),
    *("FAILED_TO_UNCOMPRESS", "ChecksumException", "Corrupt", "corrupted file"),
    # Arrow
    *("magic bytes not found", "Parquet file size is", "deserialize thrift", "is a directory"),
    *("Unexpected end of stream", "Parquet magic bytes"),
    # delta-rs
    *("Json error", "contiguous commit files", "No table metadata or protocol"),
    *("Invalid Checkpoint", "Parquet argument error"),
)
_PERMISSION = ("Permission denied", "AccessDeniedException", "AccessControlException")


def explained(error: BaseException) -> ProcessorError | None:
    """The error as one of ours, by what its text (the JVM's whole stack) names; else None."""
    text = f"{type(error).__name__}: {error}"
    if said := _line(text, _DISK):
        return Unavailable(f"the disk is full or read-only: {said}", remedy="make room, run again")
    if said := _line(text, _PERMISSION):
        return Unavailable(f"a folder may not be written: {said}", remedy="allow it, run again")
    if said := _line(text, _FILE):
        if damaged(text):
            return Damaged(f"a file of a table is gone or damaged: {said}", remedy=RESTORE)
        return Unavailable(
            f"a file of a table cannot be read: {said}",
            remedy="check that the place answers and may be read, then run again",
        )
    if said := _line(text, _LOST):
        return LossDetected(
            f"Kafka no longer holds records that the plan names: {said}",
            remedy="compare the topic's retention with the schedule; nothing was committed",
        )
    if said := _line(text, _BROKER):
        return Unavailable(
            f"Kafka does not answer Spark: {said}",
            remedy="start the broker, then run again: the batch goes on where it stopped",
        )
    if isinstance(error, PySparkException):  # its text is the JVM's, which ends with the session
        return ProcessorError(f"Spark failed: {text}", remedy="report it: this is a bug")
    return None


def damaged(text: str) -> bool:
    """Whether an error of Spark, Arrow or delta-rs tells of a file that is not what was written.

    What it does not tell of, as a network that fails, may be mended by trying again.
    """
    return any(sign in text for sign in _DAMAGED)


def _line(text: str, signs: tuple[str, ...]) -> str | None:
    """The first line that has one of the signs: Python's own first line may say nothing."""
    for line in text.splitlines():
        if any(sign in line for sign in signs):
            return line.strip(": ")
    return None
