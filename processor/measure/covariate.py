"""Covariate drift: whether the inputs of a model are still those it was judged on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from processor.loops import LoopConfig
from processor.measure import drift
from processor.measure.drift.base import DriftScore, DriftTest
from processor.measure.intervals import benjamini_hochberg
from processor.measure.profile import Profile
from processor.measurements import INSUFFICIENT, OVERALL, Measurement
from processor.plugins import Registry

DRIFT = "DRIFT"
STABLE = "STABLE"
DRIFT_Q = 0.01  # largest share of false calls among the features said to drift
MIN_ROWS = 200  # rows with a value, on both sides
"""From here on p means what it says: of 2,000 samples without drift, from skewed distributions
with many rare values, 0.7 to 1.4 % had p <= 0.01 with 200 rows, and up to 1.8 % with 100.
"""
METRIC = "drift."  # what the names of these measurements begin with

TESTS: Registry[DriftTest] = Registry(drift, "drift test")


@dataclass(frozen=True)
class _Held:
    """One feature under one test: its score, or why there is none."""

    feature: str
    test: DriftTest
    n: int
    score: DriftScore | None = None
    reason: str | None = None
    q: float | None = None


def covariate_drift(
    loop: LoopConfig,
    version: str,
    reference_version: str,
    before: Mapping[str, Profile],
    profiles: Mapping[str, Profile],
) -> Iterator[Measurement]:
    """One Measurement for each feature and test that fits it, in order of feature and test.

    `value` is the effect. A feature has moved when q is at most `DRIFT_Q` and the effect is one
    that matters to the test: with enough rows every difference is real, and few are large.
    q is over all features and tests with a p; scores without one have no verdict. Missing values
    are no values: how many there are is in the profile, and no test looks at it.
    """
    held = [
        _hold(feature, test, before.get(feature), profiles.get(feature))
        for feature in sorted(before.keys() | profiles.keys())
        for test in sorted(TESTS, key=lambda each: each.name)
        if {p.kind for p in _both(feature, before, profiles)} & test.kinds
    ]
    for one in _with_q(held):
        yield _measured(one, loop, version, reference_version)


def _both(feature: str, *sides: Mapping[str, Profile]) -> Iterator[Profile]:
    return (side[feature] for side in sides if feature in side)


def _hold(feature: str, test: DriftTest, before: Profile | None, now: Profile | None) -> _Held:
    n = now.present if now else 0
    if before is None or now is None:
        side = "reference" if before is None else "batch"
        return _Held(feature, test, n, reason=f"the {side} has no such feature")
    if (before.kind, before.edges) != (now.kind, now.edges):
        return _Held(feature, test, n, reason="the reference and the batch are not binned alike")
    for side, profile in (("reference", before), ("batch", now)):
        if profile.present < MIN_ROWS:
            few = f"the {side} has {profile.present} values, fewer than {MIN_ROWS}"
            return _Held(feature, test, n, reason=few)
    return _Held(feature, test, n, test.score(before, now))


def _with_q(held: list[_Held]) -> Iterator[_Held]:
    tested = [one.score.p for one in held if one.score and one.score.p is not None]
    q_values = iter(benjamini_hochberg(tested))
    for one in held:
        has_p = one.score is not None and one.score.p is not None
        yield replace(one, q=next(q_values)) if has_p else one


def _measured(one: _Held, loop: LoopConfig, version: str, reference: str) -> Measurement:
    verdict, reason = _verdict(one)
    return Measurement(
        loop=loop.loop,
        model_name=loop.model,
        model_version=version,
        metric=f"{METRIC}{one.test.name}",
        slice=OVERALL,
        window="batch",
        n=one.n,
        value=one.score.effect if one.score else None,
        feature=one.feature,
        reference=reference,
        statistic=one.score.statistic if one.score else None,
        p=one.score.p if one.score else None,
        q=one.q,
        effect=one.score.effect if one.score else None,
        verdict=verdict,
        reason=reason,
    )


def _verdict(one: _Held) -> tuple[str | None, str | None]:
    if one.score is None:
        return INSUFFICIENT, one.reason
    if one.q is None or one.test.min_effect is None:
        return None, None
    if one.q > DRIFT_Q:
        return STABLE, f"q {one.q:.3g} is above {DRIFT_Q}"
    least = one.test.min_effect
    if one.score.effect < least:
        return STABLE, f"moved, but by {one.score.effect:.3g}: less than {least} does not matter"
    return DRIFT, f"effect {one.score.effect:.3g} is at least {least}, q {one.q:.3g}"
