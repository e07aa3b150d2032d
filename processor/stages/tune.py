"""What a budget of labels is best spent on, by what is known as of the last finished batch.

What is counted here is decided on in `processor.datasets.tuning`; nothing is written.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from processor.config import Config
from processor.datasets import tuning
from processor.datasets.chain import Chain, Link
from processor.datasets.requests import Asking, asking
from processor.datasets.tuning import Cells, Expected, Spans
from processor.errors import ConfigError
from processor.loops import LoopConfig
from processor.measurements import INSUFFICIENT
from processor.stages import evidence
from processor.stages.base import Context
from processor.stages.pipeline import PLAN, begun, stored_batch
from processor.stages.recipes import POLICIES
from processor.stages.solicit import can_ask, ways
from processor.tables import BATCHES
from processor.warehouse import Warehouse

Row = dict[str, Any]
MOST_STRATA = 50  # groups that are worth a budget of their own
STRATIFIED = "stratified"


def tune(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    name: str,
    budget: int,
) -> Row:
    """What each policy of the registry would come to with `budget` labels of a batch.

    INSUFFICIENT, and no recommendation, where too little is known.

    Raises:
        ConfigError: there is no such loop, or no finished batch.
    """
    loop, warehouse = config.only(name), Warehouse(config.warehouse)
    context = Context(config, warehouse, f"tune-{uuid.uuid4()}", start_spark, say)
    batch = stored_batch(warehouse, _last_finished(warehouse))
    chains = list(_proposals(budget))
    asked, used = _used(context, loop)
    tried = [*chains, *(each.chain for each in used.values())]
    outcomes = evidence.known(context, loop, batch, tried).persist()
    try:
        told = evidence.counted(outcomes)
        say(f"holding {len(chains)} policies against {told.outcomes:,} outcomes")
        head = {"loop": name, "as_of": batch.id, "budget": budget, **told._asdict()}
        head |= {"estimates": evidence.estimates(loop), "can_ask": can_ask(loop)}
        cells = evidence.sums(outcomes, len(chains)) if told.outcomes else []
        population = evidence.a_batch(context, loop, batch)
        past = evidence.past_requests(context, loop, batch, outcomes)
        spans = evidence.by_span(outcomes, range(len(chains), len(tried))) if used else []
    finally:
        outcomes.unpersist()
    known = {way: Then(each, of) for (way, each), of in zip(used.items(), spans, strict=True)}
    then = [_then(each, known.get(asked.get(each.batch, ""))) for each in past]
    tried_on = list(zip(chains, cells, strict=False))
    return {**head, **_verdict(told, loop, tried_on, population), "past": then}


def _used(context: Context, loop: LoopConfig) -> tuple[dict[int, str], dict[str, Asking]]:
    """By batch, what was said of asking; and each such text as this code understands it."""
    asked = ways(context, loop)
    found: dict[str, Asking] = {}
    for way in dict.fromkeys(asked.values()):
        with suppress(ConfigError):  # a key of its time, which nobody knows any more
            told = asking(loop.model_copy(update={"label_requests": json.loads(way)}), POLICIES)
            found |= {way: told} if told else {}
    return asked, found


def _last_finished(warehouse: Warehouse) -> int:
    last = warehouse.committed(BATCHES, PLAN)
    finished = last if begun(warehouse) is None else last - 1
    if finished < 1:
        raise ConfigError("no batch is finished yet", remedy="`bfp run` makes the first")
    return finished


def _proposals(budget: int) -> Iterator[Chain]:
    """What every policy of the registry proposes; uniform first, so that it wins where all tie."""
    for policy in sorted(POLICIES, key=lambda each: (each.name != "uniform", each.name)):
        for told in policy.proposals(budget):
            yield Chain((Link(policy, policy.params(**told)),))


def _verdict(
    told: evidence.Counted, loop: LoopConfig, tried: list[tuple[Chain, Cells]], population: float
) -> Row:
    if told.effective < loop.min_slice_rows:
        few = f"{told.effective:.1f} effective outcomes of {told.outcomes}"
        return _insufficient(f"{few}, fewer than {loop.min_slice_rows}")
    everyone = tuning.together(tried[0][1])
    found = list(_expected(tried, population))
    best = tuning.best(found)
    if best is None or best.worth is None:
        return _insufficient("all outcomes are alike: any label says the same")
    return {
        "verdict": None,
        "reason": None,
        "mean": everyone.wy / everyone.w,
        "inferences": population,
        "policies": [_row(each) for each in sorted(found, key=lambda each: each.variance)],
        "recommended": _row(best),
    }


def _insufficient(reason: str) -> Row:
    nothing: Row = {"mean": None, "inferences": None, "policies": [], "recommended": None}
    return {"verdict": INSUFFICIENT, "reason": reason, **nothing}


def _expected(tried: list[tuple[Chain, Cells]], population: float) -> Iterator[Expected]:
    """Those that the data allow: with cells that differ, and no more of them than are groups."""
    for chain, cells in tried:
        (link,) = chain.links
        alike = len(cells) == 1 and link.policy.name != "uniform"
        if alike or (link.policy.name == STRATIFIED and len(cells) > MOST_STRATA):
            continue
        params = tuning.learned(link.policy, link.params, cells)
        taught = Chain((Link(link.policy, params),))
        labels, variance = tuning.expected(taught, cells, population)
        worth = tuning.uniform_labels(variance, cells, population)
        told = {"policy": link.policy.name, **params.model_dump(mode="json", exclude_unset=True)}
        yield Expected(told, labels, variance, worth)


def _row(each: Expected) -> Row:
    figures = ("labels", "variance", "half_width", "worth")
    return {"policy": dict(each.told), **{name: getattr(each, name) for name in figures}}


class Then(NamedTuple):
    """How a batch asked, and past outcomes as that policy sees them."""

    asking: Asking
    spans: Spans


def _then(past: evidence.PastRequests, used: Then | None) -> Row:
    """What was expected of a batch's requests by what was known then, and what they came to.

    Expected for as many labels as came, by the policy that the batch asked by; nothing where that
    is not known any more.
    """
    answered, found = past.answered, tuning.realised(past.answered)
    cells = tuning.by_then(used.spans, past.batch) if used else {}
    width: float | None = None
    if used and cells and found:
        again = tuning.with_budget(used.asking.chain, answered.answered)
        _, variance = tuning.expected(again, cells, answered.inferences)
        width = tuning.half_width(variance)
    return {
        "batch": past.batch,
        "policy": past.policy,
        "asked_by": used and used.asking.loop.label_requests,
        "asked": answered.asked,
        "answered": answered.answered,
        "inferences": answered.inferences,
        "mean": found and found.mean,
        "expected_half_width": width,
        "realised_half_width": found and tuning.half_width(found.variance),
    }
