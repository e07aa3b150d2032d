"""`python -m processor` is `bfp`; so is this file, given to spark-submit."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    # Run as a script, our folder comes first on the path and hides libraries of the same name.
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != HERE]
    from processor.cli import main  # only now does it find them

    main()
