"""measure: what is known, how good the models were, and what has moved or gone amiss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from processor.batches import Batch
from processor.datasets.weights import weight
from processor.feedback.outcomes import PLACE, first_by
from processor.feedback.standing import latest
from processor.loops import LoopConfig
from processor.measure import counts
from processor.measure.covariate import covariate_drift
from processor.measure.profile import CATEGORICAL, NUMERIC, Profile, edges_of, profile_of
from processor.measure.quality import QualityCounts, quality
from processor.measure.weighted import WeightedCounts
from processor.measurements import OVERALL, Measurement
from processor.stages import agreement, misbehaving
from processor.stages.arrivals import arrivals
from processor.stages.at_once import at_once
from processor.stages.base import Context, Stage, Writes
from processor.stages.compile import rule_of
from processor.stages.delay import delays
from processor.stages.features import skews, violations
from processor.stages.quiet import quiet
from processor.stages.reference import Reference, reference
from processor.stages.solicited import progress
from processor.stages.sources import inferences, ledger, sliced
from processor.stages.standings import standings
from processor.stages.windows import oldest, windows
from processor.tables import (
    LABEL_REQUESTS,
    MEASUREMENTS,
    OUTCOMES,
    PROFILES,
    PROOFS,
    SOURCES,
    TYPED,
)

READ = ("inferences", "sessions", "feedback", "ground_truth", "feature_sets")


def run(context: Context, batch: Batch) -> None:
    """Measures every loop, and keeps the profiles that drift was found from."""
    writes = Writes("measure", context, batch)
    if not any(writes.pending(table) for table in STAGE.writes):
        return
    found = list(misbehaving.write(context, batch, writes))
    kept: list[dict[str, Any]] = []
    for loop in context.config.loop.values():
        context.say(f"measuring {loop.loop}")
        against = reference(loop)
        measurements, profiles_by_version = _asked(context, loop, batch, against)
        found += measurements
        for version, profiles in profiles_by_version.items():
            kept += [_profile_row(loop, batch, version, each) for each in profiles.values()]
            found += _drift(loop, version, against, profiles)
    writes.rows(PROFILES, kept)
    writes.rows(MEASUREMENTS, [{"batch_id": batch.id, **vars(m)} for m in found])


def _asked(
    context: Context, loop: LoopConfig, batch: Batch, against: Reference | None
) -> tuple[list[Measurement], dict[str, dict[str, Profile]]]:
    """What Spark says of one loop: measurements in a fixed order, and profiles by version."""

    def listed(
        part: Callable[[Context, LoopConfig, Batch], Iterable[Measurement]],
    ) -> list[Measurement]:
        return list(part(context, loop, batch))

    quality_of = partial(_quality, against=against)
    parts = (
        *(standings, quality_of, arrivals, violations, skews),
        *(progress, agreement.measured, delays),
    )
    with at_once(context.spark) as pool:
        profiles = pool.submit(_profiles, context, loop, batch, against)
        measured = list(pool.map(listed, parts))
        return [each for part in measured for each in part], profiles.result()


def _quality(
    context: Context, loop: LoopConfig, batch: Batch, against: Reference | None
) -> Iterator[Measurement]:
    """Quality by model version, window and slice, beside the baseline's own."""
    spans = {window.name: window for window in windows(loop, context, batch)}
    known = _known(context, loop, batch, oldest(context, rule_of(loop), batch, spans.values()))
    rows = counts.quality(known, list(spans.values()), loop.slices, loop.outcome.positive)
    before = against.accuracy(loop.slices) if against else {}
    for row in sorted(rows.collect(), key=lambda r: (r["model_version"], r["window"], r["slice"])):
        named = row.asDict(recursive=True)
        weighted = named.pop("weighted")
        version, span, part = (named.pop(n) for n in ("model_version", "window", "slice"))
        yield from quality(
            QualityCounts(**named, weighted=weighted and WeightedCounts(**weighted)),
            loop=loop,
            model_version=version,
            slice_name=part,
            window=spans[span],
            reference=against.model_version if against else None,
            reference_accuracy=before.get(part),
        )


def _known(context: Context, loop: LoopConfig, batch: Batch, since: datetime | None) -> DataFrame:
    """What is known as of the batch, beside what was predicted, to whom; and what it stands for."""
    truth = latest(ledger(context, loop, batch, since), "value", "solicit_prob", "batch_id")
    labels = truth.where(F.col("value").isNotNull()).select(
        "inference_id",
        F.col("value").alias("label"),
        "solicit_prob",
        (F.col("batch_id") == batch.id).alias("is_new"),
    )
    wanted = ("inference_id", "session_id", "model_version", "response_time", "pred_label")
    said = inferences(context, loop, batch, since).select(
        *wanted, "class_probs", "log_keep_prob", *PLACE
    )
    known = first_by(said, "inference_id").join(labels, "inference_id")
    one = F.lit(1.0)
    stands_for = weight(one, F.col("log_keep_prob"), F.col("solicit_prob"), one)
    return sliced(context, known.withColumn("weight", stands_for), batch, since)


def _profiles(
    context: Context, loop: LoopConfig, batch: Batch, against: Reference | None
) -> dict[str, dict[str, Profile]]:
    """Counts of every feature that the batch brought, by model version and feature."""
    news = inferences(context, loop, batch, after=batch.id - 1)
    edges = {n: edges_of(v) for n, v in against.numeric().items()} if against else {}
    totals = {
        r["model_version"]: r["count"] for r in news.groupBy("model_version").count().collect()
    }
    counted: dict[tuple[str, str, str], dict[str, int]] = {}
    frames = [(CATEGORICAL, counts.categories(news))]
    if edges:
        frames.append((NUMERIC, counts.bins(news, edges)))
    for kind, frame in frames:
        for row in frame.collect():
            of = counted.setdefault((row["model_version"], row["feature"], kind), {})
            of[row["bin"]] = row["n"]
    found: dict[str, dict[str, Profile]] = {}
    for (version, feature, kind), bins in sorted(counted.items()):
        total = totals[version]
        found.setdefault(version, {})[feature] = Profile(
            feature, kind, bins, total - sum(bins.values()), total, edges.get(feature, ())
        )
    return found


def _drift(
    loop: LoopConfig,
    version: str,
    against: Reference | None,
    profiles: dict[str, Profile],
) -> list[Measurement]:
    if against is None:
        return []
    before = {
        **{n: profile_of(n, v) for n, v in against.numeric().items()},
        **{n: profile_of(n, v) for n, v in against.categorical().items()},
    }
    return list(covariate_drift(loop, version, against.model_version, before, profiles))


def _profile_row(loop: LoopConfig, batch: Batch, version: str, profile: Profile) -> dict[str, Any]:
    return {
        "batch_id": batch.id,
        "loop": loop.loop,
        "model_name": loop.model,
        "model_version": version,
        "slice": OVERALL,
        "feature": profile.feature,
        "kind": profile.kind,
        "n": profile.n,
        "missing": profile.missing,
        "edges": list(profile.edges),
        "counts": sorted(profile.counts.items()),
    }


STAGE = Stage(
    "measure",
    "quality, drift, and what is not known yet",
    (*(TYPED[name] for name in READ), OUTCOMES, LABEL_REQUESTS, PROOFS),
    (SOURCES, PROFILES, MEASUREMENTS),
    run,
    rests=quiet,
)
