"""Every error that a user can meet: what happened, what to do, and how the command ends.

ProcessorError                70  a bug
├── ConfigError                2  usage or configuration
├── DataRefused                3  a contract or a limit
├── LossDetected               4  records that should exist do not
├── BatchHeld                  5  another run holds this batch
└── Unavailable               75  something outside is down; the same command may work later
    └── Damaged               75  a table is not whole; `bfp verify`, which judges that, ends with 4
"""

from __future__ import annotations

from typing import ClassVar

RESTORE = "restore it from a backup, or the whole warehouse as it was before: no retry mends it"
"""What to do about what is damaged."""


class ProcessorError(Exception):
    """A failure that says what happened and what to do; `exit_code` is how the command ends."""

    exit_code: ClassVar[int] = 70
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n  remedy: {self.remedy}"


class ConfigError(ProcessorError):
    """The command or its configuration cannot be right, whatever the data are."""

    exit_code = 2


class DataRefused(ProcessorError):
    """Data break a contract or a limit, and going on would hide it."""

    exit_code = 3


class LossDetected(ProcessorError):
    """Records that a plan names, or what was proven of them, are gone, and nothing explains it."""

    exit_code = 4


class BatchHeld(ProcessorError):
    """Another run is at work on this warehouse."""

    exit_code = 5
    retryable = True


class Unavailable(ProcessorError):
    """A broker, registry or disk is not there; a scheduler may try again."""

    exit_code = 75
    retryable = True


class Damaged(Unavailable):
    """A file of a table is gone, or not what was written: only who restores it can mend that."""
