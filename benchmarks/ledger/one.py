"""One measurement, in a process and a JVM of its own: `python -m benchmarks.ledger.one JOB`.

JOB is JSON; so is the answer, on the last line of stdout.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benchmarks.ledger.settings import Job
from benchmarks.ledger.ways import WAYS


def main() -> None:
    """Goes the way that the job names, and says what it cost."""
    job = Job(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(WAYS[job.way](job))))


if __name__ == "__main__":
    main()
