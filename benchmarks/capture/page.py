"""What the page says of capture, written from the measurements alone."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import poison
from benchmarks.capture.fixed import FEW
from benchmarks.capture.results import Case, Results
from benchmarks.page import targets
from benchmarks.parts import Measured
from benchmarks.spread import Spread

STEPS = {"naive": ("together",), "pipeline": ("snapshot", "validate", "together")}
HEAD = """Events are inference events of about 450 bytes in four partitions, without headers. The
usual way is a streaming query with `availableNow`, `from_avro` and a Delta append in
`foreachBatch`, with the defaults of Spark and Delta; it keeps no bytes, proves nothing and checks
no event. Beside it are this software's `snapshot` (landing and the proof) and `validate` (decoding,
checks, typed table), run as `bfp run` runs them. Each line of a turn is a process and a JVM of its
own, so that all pay for warming up and memory is each one's; the start of the session is not in the
times. Turns alternate. Broker, driver and executor share the machine.

Both JVMs may use 3 GiB of heap. The usual way's has the JVM's other defaults; ours collects garbage
in parallel and leaves more to the first compiler, as it does in every run of `bfp`. Its heap grows
up to the limit as long as there is work: that is what the ratio of peak memories shows, not what
the work needs."""


def text(measured: Measured) -> Iterator[str]:
    """The section of the page."""
    results = Results.told(measured)
    yield from (HEAD, "", "### Times", "", *_times(results))
    yield from ("", "### Poison", "", *_poison(results))
    yield from ("", "### Targets", "", *targets(results.judged()))
    yield from ("", "### What a run costs beyond its data", "", *_fixed(results))


def _times(results: Results) -> Iterator[str]:
    yield "| way | step | events | seconds | rows/s | CPU seconds | peak memory of the JVM, GiB |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for case in results.cases:
        for step in STEPS[case.way]:
            yield _time(case, step)


def _time(case: Case, step: str) -> str:
    took, cpu, peak = case.seconds(step), case.cpu(step), case.peak_gib()
    memory = f"{peak:.2f}" if peak and step == "together" else ""
    rate = f"{case.events / took.median:,.0f}"
    cells = (case.name, step, f"{case.events:,}", str(took), rate, str(cpu), memory)
    return f"| {' | '.join(cells)} |"


def _poison(results: Results) -> Iterator[str]:
    yield f"Of one topic {poison.SHARE:.0%} of the records are damaged, in {len(poison.WAYS)} ways;"
    yield "of the other none. Both are landed and decoded in turns, in one session that is warm."
    yield ""
    yield "| topic | records | seconds | records/s |"
    yield "|---|---:|---:|---:|"
    for each in (results.clean, results.poisoned):
        took = Spread.of(each.seconds)
        yield f"| {each.topic} | {each.events:,} | {took} | {each.rate:,.0f} |"


def _fixed(results: Results) -> Iterator[str]:
    fixed = results.fixed
    yield "| what | seconds | without the archive of classes |"
    yield "|---|---:|---:|"
    rows = (
        ("a session", fixed.session, str(fixed.session_without_archive)),
        (f"`bfp run`, {FEW:,} events", fixed.small_run, str(fixed.small_run_without_archive)),
        ("of it, outside of the stages", fixed.rest, ""),
        ("`bfp run`, nothing new (no JVM)", fixed.nothing_new, ""),
        ("`bfp run --until`, nothing came: an empty batch (no JVM)", fixed.nothing_came, ""),
    )
    for name, spread, other in rows:
        yield f"| {name} | {spread} | {other} |"
    named = ", ".join(f"{name} {seconds:.1f}" for name, seconds in fixed.stages.items())
    yield ""
    yield f"Of the run of {FEW:,} events, by stage, the session being part of the first, and each"
    yield f"with its commits: {named}. What is outside of them is"
    yield "starting Python, planning, the commit of the plan, and ending the JVM."
