"""What an error of Spark's JVM means to a person: something is down, or records are gone."""

from __future__ import annotations

from pyspark.errors import PySparkException

from processor.errors import LossDetected, ProcessorError, Unavailable

_LOST = ("OffsetOutOfRange", "Some data may have been lost", "KAFKA_DATA_LOSS", "data loss")
_BROKER = (
    "org.apache.kafka.common.errors.TimeoutException",
    "org.apache.kafka.common.errors.DisconnectException",
    "No resolvable bootstrap urls",
    "Failed to construct kafka consumer",
    "UnknownTopicOrPartitionException",
)
_DISK = ("No space left on device", "Disk quota exceeded", "Read-only file system")
_PERMISSION = ("Permission denied", "AccessDeniedException", "AccessControlException")


def explained(error: BaseException) -> ProcessorError | None:
    """The error as one of ours, by what its text (the JVM's whole stack) names; else None."""
    text = f"{type(error).__name__}: {error}"
    first = text.strip().splitlines()[0]
    if any(sign in text for sign in _DISK):
        return Unavailable(f"the disk is full or read-only: {first}", remedy="make room, run again")
    if any(sign in text for sign in _PERMISSION):
        return Unavailable(f"a folder may not be written: {first}", remedy="allow it, run again")
    if any(sign in text for sign in _LOST):
        return LossDetected(
            f"Kafka no longer holds records that the plan names: {first}",
            remedy="compare the topic's retention with the schedule; nothing was committed",
        )
    if any(sign in text for sign in _BROKER):
        return Unavailable(
            f"Kafka does not answer Spark: {first}",
            remedy="start the broker, then run again: the batch goes on where it stopped",
        )
    if isinstance(error, PySparkException):  # its text is the JVM's, which ends with the session
        return ProcessorError(f"Spark failed: {text}", remedy="report it: this is a bug")
    return None
