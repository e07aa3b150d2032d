"""`bfp`, which kills itself and all its children right after its first commit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import wraps
from typing import Any

from processor.cli import main
from processor.warehouse import Warehouse

COMMITS = ("append_once", "append_frame", "append")


def dying(commit: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but nobody lives to hear of it; what was committed before is no commit."""

    @wraps(commit)
    def once(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # as it is given
        if commit(*given, **named) is not False:
            os.killpg(0, signal.SIGKILL)
        return False

    return once


if __name__ == "__main__":
    for name in COMMITS:
        setattr(Warehouse, name, dying(getattr(Warehouse, name)))
    main()
