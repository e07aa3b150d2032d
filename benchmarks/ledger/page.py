"""What the page says of the ledger and of datasets, written from the measurements alone."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.ledger.results import TENTH, Case, Results
from benchmarks.page import targets
from benchmarks.parts import Measured

HEAD = """Measured is `compile`: it joins answers to inferences, writes the ledger of outcomes, and
makes a dataset version: as many rows of each label, a fifth as many as inferences, in Parquet.
Typed events are planted, a commit a batch: inferences with ten numbers and four words, evenly over
29 days; of one in five nothing is said, of one in five more than once (the same again, a
correction, a further answer). The window is 7 days, the grace 6 hours. Each line of a turn is a
process and a JVM of its own; the start of the session is not in the times. Events are inferences
and answers together."""
DAILY = """One turn, all batches in one process; `compile` alone, not the stages after it.
`outcome.late` is a day, so a batch reads the last nine to ten days; without it, each batch would
read all that came before. What is said after the last batch is not in it. In the first batches
nothing is known of most inferences yet, and the first pays for warming up."""
ONCE = """The usual way reads the same typed tables in PySpark with the defaults of Spark: a join on
`inference_id`, a filter by the window, the last answer by `row_number`, a count by label, then the
rows whose hash is below their label's share, as Parquet. It keeps no ledger and no origins, and
makes no digests; it does not look for leakage, nor tell an event sent twice. DuckDB does as the
usual way on the same Parquet files, and fetches features for the chosen rows only. Memory is that
of the driver, the JVM and Python's workers, each at its peak, added up."""
UNEVEN = """These are a fifth of the events above. An answer to a session is divided among its
inferences, so that it is as many pairs as there were inferences before it, within the window. Even
sessions have ten inferences and an answer each. Half of all inferences in one session with one
answer are the same number of pairs, all of which one task has to put in order. Each further answer
to that session is as many pairs again, and origins in the ledger: such a session costs its
inferences times its answers. Models share the inferences evenly, or one has half of them; there is
a loop for each."""


def text(measured: Measured) -> Iterator[str]:
    """The section of the page."""
    results = Results.told(measured)
    yield from (HEAD, "", "### One batch a day", "", DAILY, "", *_days(results))
    yield from ("", "### Everything in one batch", "", ONCE, "", *_times(_once(results)))
    yield from ("", "### One hot session, one hot model", "", UNEVEN, "")
    yield from _times(_uneven(results))
    yield from ("", "### Targets of the ledger", "", *targets(results.judged()))


def _once(results: Results) -> tuple[Case, ...]:
    return (results.ours, results.usual, results.duckdb)


def _uneven(results: Results) -> tuple[Case, ...]:
    by_session = (results.sessions, results.hot_session, results.hot_session_again)
    return (*by_session, results.models, results.hot_model)


def _days(results: Results) -> Iterator[str]:
    days = results.days
    seconds = ", ".join(f"{each:.1f}" for each in days.values())
    last = list(days)[-1]
    full, daily = results.full, results.daily
    yield (
        f"{daily.events:,} events in {len(days)} batches, seconds of each: {seconds}."
        f" Batch {TENTH}: {days[TENTH]:.1f}, batch {last}: {days[last]:.1f}."
        f" Peak memory: {_gib(daily.peak)} GiB."
    )
    yield ""
    yield (
        f"A full version of all that is known after them (`mode: full`), {full.rows:,} rows:"
        f" {full.seconds} seconds, {_gib(full.peak)} GiB."
    )


def _times(cases: tuple[Case, ...]) -> Iterator[str]:
    yield "| way | events | kept rows | seconds | events/s | CPU seconds | peak memory, GiB |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for case in cases:
        took = case.seconds
        rate = f"{case.events / took.median:,.0f}"
        size = (f"{case.events:,}", f"{case.rows:,}")
        cells = (case.name, *size, str(took), rate, str(case.cpu), _gib(case.peak))
        yield f"| {' | '.join(cells)} |"


def _gib(peak: float | None) -> str:
    return "" if peak is None else f"{peak:.2f}"
