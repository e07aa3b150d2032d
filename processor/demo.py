"""The demo: a real broker and registry, four years of a census, three batches, one training."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from processor.config import Config, load
from processor.errors import ConfigError, ProcessorError
from processor.local.service import run
from processor.local.spark import on_demand
from processor.local.stack import Stack, down, running
from processor.lock import LOCK, held
from processor.resources import resource
from processor.simulate.census import YEARS, new_year, reference
from processor.simulate.produce import Sender
from processor.simulate.timeline import Timeline
from processor.simulate.topics import create_topics
from processor.simulate.witness import observed
from processor.stages.runner import take

HOME = Path("build/demo")
TRAINER = resource("examples", "training_pipeline.py")
CENSUS = resource("data", "employment_ma.parquet")
LOOP = resource("conf", "loops", "employment.yaml")
NEW_ROWS = 50_000  # as the loop file has it
PERSONS_A_YEAR = 70_000  # about as many as the census has
TRAINED_AFTER = timedelta(hours=1)  # after the year that the trigger came from

OURS = {
    *("bfp.yaml", "events.parquet", "reference.parquet", "loops", "local", "report"),
    *("trainer", "warehouse"),
}
"""What a demo makes in its folder, and removes when it starts again."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How large the demo's world is; `persons` a year, None for all of the census."""

    home: Path
    persons: int | None
    seed: int


def demo(options: Options, say: Say) -> Config:
    """Runs the whole loop in `options.home`, from nothing; returns the configuration it ran with.

    Raises:
        ConfigError: the data or the example are not there: this is no checkout; or the folder
            holds what no demo has made.
        BatchHeld: another demo is at work there.
        ProcessorError: a part failed; it has said why.
    """
    for needed in (TRAINER, CENSUS, LOOP):
        if not needed.is_file():
            raise ConfigError(f"no {needed}", remedy="run the demo from a checkout of the source")
    home = options.home.resolve()
    _check_ours(home)
    with held(str(home)):
        _emptied(home)
        census = pq.read_table(CENSUS)
        pq.write_table(reference(census), home / "reference.parquet")
        timeline = Timeline.of(census, YEARS, options.seed, options.persons)
        with running(home / "local", say) as stack:
            config = _configured(options, home, stack)
            create_topics(config.kafka, config.topics, config.outputs)
            events: list[pa.Table] = []
            spark = on_demand(config.spark, say, config.limits)
            with spark as start_spark, ThreadPoolExecutor(1) as aside:
                started = aside.submit(start_spark)  # while the first year is produced
                for year in YEARS:
                    say(f"{year}: producing {timeline.count(*_span(year)):,} events")
                    sender = Sender(config.kafka, config.registry, config.topics)
                    events.append(sender.send(timeline.between(*_span(year))))
                    take(config, started.result, say)
                    events.append(_trained(year, config, events, say))
            pq.write_table(pa.concat_tables(events), home / "events.parquet")
        return config


def _span(year: int) -> tuple[int, int]:
    return new_year(year), new_year(year + 1)


def _trained(year: int, config: Config, events: list[pa.Table], say: Say) -> pa.Table:
    """The training program looks for triggers; the ledger of what it said."""
    if year != YEARS[-1]:
        say(f"{year}: the training program looks for triggers")
        _done("the training program", run(_trainer(config, config.report.parent, year)))
    known = pa.concat_tables(events)
    return observed(config.kafka, config.registry, config.topics, known)


def _done(what: str, code: int) -> None:
    if code:
        raise ProcessorError(f"{what} ended with {code}", remedy="read what it says above")


def _trainer(config: Config, home: Path, year: int) -> list[str]:
    """Its events carry the time at which they would have been said."""
    at = datetime(year + 1, 1, 1, tzinfo=UTC) + TRAINED_AFTER
    return [
        *(sys.executable, str(TRAINER), "--once"),
        *("--bootstrap-servers", config.kafka.bootstrap_servers),
        *("--registry-url", config.registry.url or ""),
        *("--state", str(home / "trainer" / "state.json")),
        *("--event-time", at.isoformat()),
    ]


def _emptied(home: Path) -> None:
    """Removes what an earlier demo left; its broker, if it still runs, ends first."""
    down(home / "local")
    for name in OURS:
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_ours(home: Path) -> None:
    """A folder in which something else lies is not ours to empty."""
    others = {path.name for path in home.glob("*")} - OURS - {LOCK}
    if others:
        raise ConfigError(
            f"{home} holds {min(others)}, which no demo has made",
            remedy="give --home a folder that is new or empty",
        )


def _configured(options: Options, home: Path, stack: Stack) -> Config:
    """Writes the configuration into `home`, and reads it as a user's command would."""
    told = {
        "warehouse": "warehouse",
        "report": "report",
        "loops": "loops",
        "kafka": {"bootstrap_servers": stack.bootstrap_servers},
        "registry": {"url": stack.registry_url},
    }
    (home / "loops").mkdir()
    loop = LOOP.read_text(encoding="utf-8").replace("../../build/demo/", "../")
    if options.persons is not None:  # a smaller world has fewer new rows
        fewer = NEW_ROWS * options.persons // PERSONS_A_YEAR
        loop = loop.replace(f"new_rows: {NEW_ROWS}", f"new_rows: {fewer}")
    (home / "loops" / LOOP.name).write_text(loop, encoding="utf-8")
    (home / "bfp.yaml").write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")
    return load(home / "bfp.yaml")
