"""Measures this software beside the usual way: `make bench`, or a part of it with ONLY=.

At the usual sizes, with turns enough for a median, the page goes to `docs/benchmarks.md`, else to
`build/bench/benchmarks.md`. It is put together of what was last measured of each part.
"""

from __future__ import annotations

import argparse

from benchmarks.alone import say
from benchmarks.capture.part import PART as CAPTURE
from benchmarks.ledger.part import PART as LEDGER
from benchmarks.parts import LEAST_TURNS, Size, keep, page, written_to
from processor.local.attached import end_when_asked

PARTS = (CAPTURE, LEDGER)


def main() -> None:
    """Runs the benchmarks and writes the page."""
    end_when_asked()
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=[part.name for part in PARTS])
    parser.add_argument("--events", type=int, help="in place of each part's usual number")
    parser.add_argument("--rounds", type=int, default=LEAST_TURNS)
    options = parser.parse_args()
    size = Size(options.events, options.rounds)
    for part in PARTS:
        if options.only in (None, part.name):
            keep(part, size, part.measure(size.of(part), size.rounds))
    text = page(PARTS, size)
    print(text)
    say(f"written to {written_to(size, text)}")


if __name__ == "__main__":
    main()
