"""What happened in a batch, in a few sentences; every number in them is in the document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from processor.measurements import INSUFFICIENT, OVERALL
from processor.report.words import alarming, decimal, interval, number, plural, share

FIRED = "FIRED"
_LEADING = "accuracy"  # the metric that the summary quotes
_HOLES = ("control", "aborted", "compacted", "lost", "unexplained")

Document = Mapping[str, Any]


def sentences(document: Document) -> list[dict[str, str]]:
    """Sentences `text` on the batch, then on each loop; `about` is `batch` or the loop's name."""
    of_batch = [{"about": "batch", "text": text} for text in _batch(document)]
    return of_batch + [
        {"about": loop["loop"], "text": text}
        for loop in document["loops"]
        for text in _loop(loop, document["batch"])
    ]


def _batch(document: Document) -> Iterator[str]:
    account = document["accounts"][-1]
    if not account["proved"]:
        yield f"{plural(account['expected'], 'offset')} planned, not landed yet."
        return
    holes = [f"{number(account[name])} {name}" for name in _HOLES if account[name]]
    rest = f"; {', '.join(holes)}" if holes else ""
    none_lost = "" if account["lost"] or account["unexplained"] else "; none lost"
    landed, expected = number(account["landed"]), number(account["expected"])
    yield f"{landed} of {expected} offsets landed{rest}{none_lost}."
    if account["quarantined"]:
        kinds = plural(len(document["defects"]), "kind of defect", "kinds of defect")
        yield f"{number(account['quarantined'])} quarantined, {kinds}."
    elif account["typed"]:
        yield f"All {number(account['typed'])} records are valid."
    if account["replayed"]:
        again, recovered = plural(account["replayed"], "record"), number(account["recovered"])
        yield f"{again} decoded again and found different, {recovered} of them valid now."


def _loop(loop: Document, batch: int) -> Iterator[str]:
    yield from _standing(loop, batch)
    yield from _quality(loop, batch)
    yield from _drift(loop)
    for row in loop["candidates"]:
        if row["batch"] == batch:
            against = f"Candidate {row['candidate']} against version {row['baseline']}"
            yield f"{against}: {row['verdict']}: {row['reason']}".rstrip(".") + "."
    yield from _datasets(loop, batch)
    yield from _decisions(loop, batch)


def _standing(loop: Document, batch: int) -> Iterator[str]:
    for row in loop["standings"]:
        if row["batch"] == batch and row["total"]:
            known, censored = share(row["known"]["share"]), share(row["censored"]["share"])
            yield (
                f"Of {plural(row['total'], 'inference')}, {known} are known"
                f" and {censored} are too early to know."
            )


def _quality(loop: Document, batch: int) -> Iterator[str]:
    for series in loop["quality"]:
        wanted = (series["metric"], series["slice"], series["window"])
        for point in series["points"]:
            if wanted == (_LEADING, OVERALL, "batch") and point["batch"] == batch:
                yield f"Version {series['model_version']}: {_LEADING} {_value(point)}."


def _value(point: Document) -> str:
    counted = plural(point["n"], "outcome")
    if point["effective_n"] is not None:
        counted += f" ({decimal(point['effective_n'])} effective)"
    if point["value"] is None:
        return f"{INSUFFICIENT} ({point['reason'] or counted})"
    said = f"{decimal(point['value'])} ({interval(point['ci_low'], point['ci_high'])})"
    return f"{said} on {counted}"


def _drift(loop: Document) -> Iterator[str]:
    """By version, each feature under the gravest of its tests' verdicts."""
    versions = sorted({row["model_version"] for row in loop["drift"]})
    for version in versions:
        worst: dict[str, str] = {}
        for row in loop["drift"]:
            if row["model_version"] == version and row["verdict"]:
                said = (row["verdict"], worst.get(row["feature"], row["verdict"]))
                worst[row["feature"]] = min(said, key=_gravity)
        counted = sorted(Counter(worst.values()).items(), key=lambda item: _gravity(item[0]))
        told = ", ".join(f"{number(n)} {verdict}{_which(worst, verdict)}" for verdict, n in counted)
        if told:
            yield f"Features of version {version}: {told}."


def _which(worst: Mapping[str, str], verdict: str) -> str:
    """The features under a verdict that asks for attention."""
    if not alarming(verdict):
        return ""
    return f" ({', '.join(sorted(name for name, said in worst.items() if said == verdict))})"


def _gravity(verdict: str) -> tuple[bool, bool, str]:
    """Alarms first, what could not be judged last."""
    return (not alarming(verdict), verdict == INSUFFICIENT, verdict)


def _datasets(loop: Document, batch: int) -> Iterator[str]:
    for row in loop["datasets"]:
        if row["batch"] == batch:
            rows = plural(row["row_count"], "row")
            yield f"Dataset {row['dataset']} {row['version']}: {rows}."
    for row in loop["refused_versions"]:
        if row["batch"] == batch:
            yield f"Dataset {row['dataset']}: no version: {row['reason']}."


def _decisions(loop: Document, batch: int) -> Iterator[str]:
    mine = [row for row in loop["decisions"] if row["batch"] == batch]
    fired = [row for row in mine if row["state"] == FIRED]
    for row in fired:
        yield f"Decision: {FIRED} {row['rule']}: {row['reason']}".rstrip(".") + "."
    if mine and not fired:
        yield f"Decision: no trigger; {plural(len(mine), 'rule')} looked."
