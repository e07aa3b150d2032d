"""What the document says of one feedback loop, from the rows that name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processor.loops import LoopConfig
from processor.measurements import ASKED, DATASET, FEATURES, OVERALL, refused_dataset
from processor.report.rows import Row, Rows, ordered, pick, plain, where

STANDINGS = ("known", "censored", "unknown", "retracted", "tied")
"""Where an inference stands: exactly one of these."""
AMISS = ("late", "outside")
"""Answers that came amiss, counted besides."""

_PREFIX = "outcomes."
_DIFFERENCE, _VERDICT = "accuracy_difference", "verdict"  # of a candidate, less its baseline
_POINT = (
    *("batch_id", "value", "ci_low", "ci_high", "n", "effective_n"),
    *("reference", "reference_value", "verdict", "reason"),
)


def section(name: str, config: LoopConfig | None, tables: Mapping[str, Rows], batch_id: int) -> Row:
    """Everything the tables say of the loop `name`; `config` is None where it was taken away."""
    mine = {kind: where(tables[kind], loop=name) for kind in _KINDS}
    told = mine["measurements"]
    return {
        "loop": name,
        "model": config.model if config else _model(mine),
        "metric": config.outcome.metric if config else None,
        "configured": config is not None,
        "standings": _standings(told),
        "quality": _quality(told),
        "drift": _drift(where(told, batch_id=batch_id)),
        "violations": _violations(where(told, batch_id=batch_id)),
        "candidates": _candidates(told),
        "datasets": [_dataset(row) for row in ordered(mine["datasets"], "batch_id", "dataset")],
        "refused_versions": _refused(told),
        "decisions": [
            _decision(row, tables["receipts"])
            for row in ordered(mine["decisions"], "batch_id", "rule", "rule_hash")
        ],
    }


_KINDS = ("measurements", "datasets", "decisions")


def _model(mine: Mapping[str, Rows]) -> str | None:
    named = {row["model_name"] for kind in ("measurements", "decisions") for row in mine[kind]}
    return min(named, default=None)


def _standings(told: Rows) -> list[dict[str, Any]]:
    """By batch, how many inferences stand where, and their share of all."""
    stands = [row for row in told if row["metric"].startswith(_PREFIX)]
    return [
        _standing(number, where(stands, batch_id=number))
        for number in sorted({row["batch_id"] for row in stands})
    ]


def _standing(batch: int, stands: Rows) -> dict[str, Any]:
    told = {row["metric"].removeprefix(_PREFIX): row for row in stands}
    found = {
        name: {"n": told[name]["n"], "share": plain(told[name]["value"])}
        if name in told
        else {"n": 0, "share": None}
        for name in (*STANDINGS, *AMISS)
    }
    return {"batch": batch, "total": sum(found[name]["n"] for name in STANDINGS), **found}


def _quality(told: Rows) -> list[dict[str, Any]]:
    """By metric, window, slice and model version: a point for each batch."""
    key = ("metric", "window", "slice", "model_version")
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(filter(_is_quality, told), key=_quality_order):
        of = found.setdefault(
            tuple(row[name] for name in key),
            {**pick(row, *key), "points": []},
        )
        of["points"].append(pick(row, *_POINT))
    return list(found.values())


def _is_quality(row: Row) -> bool:
    metric: str = row["metric"]
    other = metric.startswith((_PREFIX, DATASET)) or metric in (_DIFFERENCE, _VERDICT, ASKED)
    return row["feature"] is None and not other


def _quality_order(row: Row) -> tuple[Any, ...]:
    """Batch windows first, everybody before the slices."""
    named = row["metric"], row["window"] != "batch", row["window"], row["slice"] != OVERALL
    return (*named, row["slice"], row["model_version"], row["batch_id"])


def _drift(told: Rows) -> list[dict[str, Any]]:
    """Features of one batch, by version and test, the largest effect first; those without last."""
    rows = ordered((row for row in told if _is_drift(row)), *_FEATURE)
    wanted = ("effect", "statistic", "p", "q", "n", "reference", "verdict", "reason")
    found = [pick(row, *_FEATURE, *wanted) for row in rows]
    return sorted(found, key=_largest_first)


def _is_drift(row: Row) -> bool:
    return row["feature"] is not None and not row["metric"].startswith(FEATURES)


def _violations(told: Rows) -> list[dict[str, Any]]:
    """Features of one batch that are not always what their definitions say."""
    found = (row for row in told if row["metric"].startswith(FEATURES) and row["value"])
    return [
        pick(row, *_FEATURE, "value", "ci_low", "ci_high", "n") for row in ordered(found, *_FEATURE)
    ]


def _largest_first(row: Row) -> tuple[Any, ...]:
    return row["model_version"], row["metric"], row["effect"] is None, -(row["effect"] or 0.0)


_FEATURE = ("model_version", "feature", "metric", "slice", "window")


def _candidates(told: Rows) -> list[dict[str, Any]]:
    """Each candidate's verdict, by batch, and its differences by slice, everybody first."""
    key = ("batch_id", "model_version", "reference")
    differences = ordered(where(told, metric=_DIFFERENCE), *key, "slice")
    said = ordered(where(told, metric=_VERDICT), *key)
    return [
        {
            **{
                new: row[old]
                for new, old in zip(("batch", "candidate", "baseline"), key, strict=True)
            },
            **pick(row, *_COMPARED),
            "slices": [
                pick(one, "slice", *_COMPARED)
                for one in sorted(differences, key=lambda one: one["slice"] != OVERALL)
                if all(one[name] == row[name] for name in key)
            ],
        }
        for row in said
    ]


_COMPARED = ("value", "ci_low", "ci_high", "n", "p", "verdict", "reason")


def _dataset(row: Row) -> dict[str, Any]:
    wanted = (
        *("batch_id", "dataset", "version", "parent_version", "kind", "formats", "row_count"),
        *("splits", "uri", "manifest_uri", "content_sha256", "seed", "created_at"),
    )
    maps = {name: dict(row[name] or {}) for name in ("dropped", "quality")}
    return {**pick(row, *wanted), **pick(maps, *maps)}


def _refused(told: Rows) -> list[dict[str, Any]]:
    """The versions that were not made, by batch, and why."""
    return [
        {"dataset": dataset, **pick(row, "batch_id", "reason")}
        for row in ordered(told, "batch_id", "metric")
        if (dataset := refused_dataset(row))
    ]


def _decision(row: Row, receipts: Rows) -> dict[str, Any]:
    wanted = (
        *("batch_id", "rule", "rule_hash", "state", "reason", "cause", "action", "trigger_id"),
        *("baseline_version", "consecutive", "cooldown_until", "window_start", "window_end"),
        "decided_at",
    )
    sent = [r for r in receipts if row["trigger_id"] and r["event_id"] == row["trigger_id"]]
    return {
        **pick(row, *wanted),
        "evidence": [pick(each, *each) for each in row["evidence"] or ()],
        "published": pick(sent[0], "topic", "partition", "offset") if sent else None,
    }
