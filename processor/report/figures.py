"""Which charts a loop's part of the document is shown with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from processor.measurements import INSUFFICIENT, OVERALL
from processor.report.charts import Bar, Point, Series, Stack, bars, intervals, stacked, trend
from processor.report.loop import STANDINGS
from processor.report.words import alarming, decimal

LAST_BATCHES = 12
"""How many batches the bars of standings show; the table beside them shows all."""

Section = Mapping[str, Any]


class Figure(NamedTuple):
    """A chart and its caption."""

    caption: str
    svg: str


def standings(loop: Section) -> Figure | None:
    """Where the inferences stand, by batch."""
    shown = loop["standings"][-LAST_BATCHES:]
    if not shown:
        return None
    rows = [
        Stack(f"batch {row['batch']:,}", [(name, row[name]["n"]) for name in STANDINGS])
        for row in shown
    ]
    last = ", ".join(f"{row_n:,} {name}" for name, row_n in rows[-1].parts)
    label = f"Inferences by where they stand; as of {rows[-1].name}: {last}."
    caption = "Where inferences stand, as of each batch"
    return Figure(caption, stacked(rows, label, f"stand-{loop['loop']}"))


def trends(loop: Section) -> list[Figure]:
    """Each metric over batches, everybody, by model version."""
    whole = [each for each in loop["quality"] if each["slice"] == OVERALL]
    found = []
    for (metric, window), group in groupby(whole, key=lambda s: (s["metric"], s["window"])):
        series = [_series(each) for each in group]
        caption = f"{named(metric)} over batches, window {window}"
        found.append(Figure(caption, trend(series, f"{caption}. {_latest(series)}")))
    return found


def _series(each: Section) -> Series:
    points = [
        Point(p["batch"], p["value"], p["ci_low"], p["ci_high"])
        for p in sorted(each["points"], key=lambda p: p["batch"])
    ]
    return Series(f"version {each['model_version']}", points)


def _latest(series: Sequence[Series]) -> str:
    said = [
        f"{s.name} {decimal(p.value) if p.value is not None else INSUFFICIENT} in batch {p.batch}"
        for s in series
        for p in s.points[-1:]
    ]
    return f"Last: {'; '.join(said)}."


def by_slice(loop: Section, batch: int) -> list[Figure]:
    """Each metric of this batch by slice, held against everybody's."""
    found = []
    key = ("metric", "window", "model_version")
    ranked = sorted(loop["quality"], key=lambda s: tuple(s[n] for n in key))
    for named_by, group in groupby(ranked, key=lambda s: tuple(s[n] for n in key)):
        rows = [_bar(s["slice"], p) for s in group for p in s["points"] if p["batch"] == batch]
        if len(rows) > 1:
            metric, window, version = named_by
            caption = f"{named(metric)} by slice, version {version}, window {window}"
            whole = next((row.value for row in rows if row.name == OVERALL), None)
            found.append(Figure(caption, intervals(rows, f"{caption}. {_read(rows)}", whole)))
    return found


def drift(loop: Section) -> list[Figure]:
    """How far each feature moved, by model version and test: effects of two tests are not alike."""
    found = []
    key = ("model_version", "metric")
    rows = sorted(loop["drift"], key=lambda row: tuple(str(row[n]) for n in key))
    for (version, test), group in groupby(rows, key=lambda row: tuple(row[n] for n in key)):
        listed = [
            Bar(r["feature"], r["effect"], r["verdict"] or "", alarming(r["verdict"]))
            for r in group
        ]
        caption = (
            f"Drift by feature, version {version}: effect by {named(test).lower()}, and verdict"
        )
        found.append(Figure(caption, bars(listed, f"{caption}. {_read(listed)}")))
    return found


def candidates(loop: Section, batch: int) -> list[Figure]:
    """Each candidate of this batch less its baseline, by slice."""
    found = []
    for each in loop["candidates"]:
        if each["batch"] == batch and each["slices"]:
            listed = [_bar(row["slice"], row) for row in each["slices"]]
            versions = f"candidate {each['candidate']} less version {each['baseline']}"
            caption = f"Difference in accuracy: {versions}, by slice"
            found.append(Figure(caption, intervals(listed, f"{caption}. {_read(listed)}", 0.0)))
    return found


def _bar(name: str, row: Section) -> Bar:
    verdict = row["verdict"] or (INSUFFICIENT if row["value"] is None else "")
    return Bar(name, row["value"], verdict, alarming(verdict), row["ci_low"], row["ci_high"])


def _read(rows: Sequence[Bar]) -> str:
    said = (
        f"{row.name} {decimal(row.value) if row.value is not None else ''} {row.word}"
        for row in rows
    )
    return "; ".join(" ".join(each.split()) for each in said) + "."


def named(metric: str) -> str:
    """A metric's name as a heading has it, without its family (`drift.`)."""
    return metric.rpartition(".")[2].replace("_", " ").capitalize()
