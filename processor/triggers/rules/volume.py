"""volume: enough new labelled rows are there to learn from."""

from __future__ import annotations

from pydantic import Field

from processor.triggers.facts import Facts
from processor.triggers.rules.base import Evidence, Finding, Rule, RuleParams

EXACT = 2**53  # rows; from here on a double, as evidence has it, may be off by one


class Params(RuleParams):
    """`new_rows` of the loop's first dataset since the last trigger are enough."""

    new_rows: int = Field(gt=0, lt=EXACT)


def judge(facts: Facts, params: Params) -> Finding:
    """Met from `new_rows` rows on."""
    evidence = Evidence(
        metric="new_rows",
        method="count",
        observed=float(facts.new_rows),
        threshold=float(params.new_rows),
        n=facts.new_rows,
    )
    of = f" of {facts.dataset}" if facts.dataset else ""
    reason = (
        f"{facts.new_rows:,} new rows{of} since the last trigger, {params.new_rows:,} are enough"
    )
    return Finding(facts.new_rows >= params.new_rows, reason, (evidence,))


ENTRY = Rule("volume", Params, "VOLUME", "INCREMENTAL", judge)
