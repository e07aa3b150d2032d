"""One measurement, in a process and a JVM of its own: `python -m benchmarks.capture.one JOB`.

JOB is JSON; so is the answer, on the last line of stdout.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from benchmarks.capture.settings import Job
from benchmarks.capture.ways import WAYS
from benchmarks.meter import peak_rss


def main() -> None:
    """Goes the way that the job names, and says what it cost."""
    job = Job(**json.loads(sys.argv[1]))
    peaks: list[int | None] = []
    measured = WAYS[job.way](job, lambda: peaks.append(peak_rss()))
    print(json.dumps({**asdict(measured), "peak_rss": peaks[0]}))


if __name__ == "__main__":
    main()
