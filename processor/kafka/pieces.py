"""Into how many pieces a batch is read: a task, and so a file, is neither tiny nor huge. Pure.

A file of the log is compressed to between a sixth and all of its records' bytes, so pieces of
`PIECE_BYTES` give files of 64 to 384 MiB.
"""

from __future__ import annotations

from collections.abc import Sequence

PIECE_BYTES = 384 << 20  # of keys and values, uncompressed: what one task reads at most
LEAST_PIECE_BYTES = 128 << 20  # no piece is made smaller than this to give every core one
SMALL_BATCH_BYTES = 32 << 20  # less than this is read by one task, into one file a topic


def piece(offsets: Sequence[int], size: int, cores: int) -> int:
    """How many offsets a task reads at most, so that tasks are alike and keep all cores busy.

    `offsets` are the lengths of the ranges, `size` the bytes of all of them. A range longer than
    the result is read by several tasks.
    """
    whole = sum(offsets)
    by_size = max(-(-size // PIECE_BYTES), 1)
    level = -(-by_size // cores) * cores
    pieces = max(by_size, min(level, size // LEAST_PIECE_BYTES))
    return max(-(-whole // pieces), 1)
