"""The states that a rule's verdict goes through: QUIET, SUPPRESSED or FIRED. Pure."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from processor.checked import checked
from processor.errors import ConfigError
from processor.loops import LoopConfig
from processor.plugins import Registry
from processor.triggers import rules as folder
from processor.triggers.facts import Facts
from processor.triggers.holds import FIRED, Hold, batches_before, cooling, in_flight, too_few
from processor.triggers.rules.base import Rule, RuleParams

QUIET = "QUIET"  # the condition is not met
SUPPRESSED = "SUPPRESSED"  # it is met, and something else says: not now; else it is FIRED

NAMESPACE = uuid.UUID("3d0a7c1e-5f42-5b8e-9c67-2a4be0d1f836")  # of trigger ids; never changes
HASH_LENGTH = 12  # hex digits; rules of one loop are few

RULES: Registry[Rule] = Registry(folder, "rule")


@dataclass(frozen=True)
class BoundRule:
    """A rule with a loop's settings; `rule_hash` changes when what it decides by does."""

    rule: Rule
    params: RuleParams
    rule_hash: str

    @property
    def name(self) -> str:
        """The word that configuration uses."""
        return self.rule.name

    @property
    def action(self) -> str:
        """What the training pipeline is asked to do."""
        return self.params.action or self.rule.action


@dataclass(frozen=True)
class Decision:
    """What a rule says of a batch; fields are columns of `decisions`.

    `trigger_id` and `cooldown_until` are set on FIRED alone. `dedupe_key` names the trigger that
    this decision made, would have made, or, where another one stands in its way, that one.
    """

    loop: str
    model_name: str
    baseline_version: str
    rule: str
    rule_hash: str
    state: str
    reason: str
    cause: str
    action: str
    trigger_id: str | None
    dedupe_key: str
    evidence: list[dict[str, Any]]
    consecutive: int
    cooldown_until: datetime | None
    window_start: datetime
    window_end: datetime


def rules_of(loop: LoopConfig) -> tuple[BoundRule, ...]:
    """The loop's rules in the order of its file, which is the order of who may fire first.

    Raises:
        ConfigError: a rule or a key of it is unknown, a value is wrong, or two rules are the same.
    """
    bound = tuple(_bound(loop, number, raw) for number, raw in enumerate(loop.rules))
    hashes = [one.rule_hash for one in bound]
    for number, one in enumerate(bound):
        if one.rule_hash in hashes[:number]:
            raise ConfigError(
                f"the loop {loop.loop!r} has the same rule {one.name!r} twice",
                remedy=f"take rules.{number} out",
            )
    return bound


def _bound(loop: LoopConfig, number: int, raw: dict[str, Any]) -> BoundRule:
    where = f"the loop {loop.loop!r}, rules.{number}"
    told = dict(raw)
    if not isinstance(name := told.pop("rule", None), str):
        raise ConfigError("no rule is named", remedy=f"write `rule: NAME` into {where}")
    rule = RULES[name]
    params = checked(rule.params, told, f"{where} ({name})")
    settled = params.model_copy(update={"action": params.action or rule.action})
    canonical = json.dumps([name, settled.model_dump(mode="json")], sort_keys=True)
    return BoundRule(rule, params, hashlib.sha256(canonical.encode()).hexdigest()[:HASH_LENGTH])


def decide_all(facts: Facts, rules: Iterable[BoundRule]) -> list[Decision]:
    """One decision for each rule, in their order; the first that may fire is the only one."""
    decisions: list[Decision] = []
    fired: Decision | None = None
    for bound in rules:
        decision = _decide(facts, bound, fired)
        decisions.append(decision)
        if decision.state == FIRED:
            fired = decision
    return decisions


def _decide(facts: Facts, bound: BoundRule, fired: Decision | None) -> Decision:
    finding = bound.rule.judge(facts, bound.params)
    consecutive = batches_before(facts, bound.rule_hash) + 1 if finding.met else 0
    hold = _hold(facts, bound, consecutive, fired) if finding.met else None
    fires = finding.met and hold is None
    own = _dedupe_key(facts, bound)
    return Decision(
        loop=facts.loop,
        model_name=facts.model_name,
        baseline_version=facts.baseline_version,
        rule=bound.name,
        rule_hash=bound.rule_hash,
        state=FIRED if fires else SUPPRESSED if hold else QUIET,
        reason=f"{finding.reason}; not now: {hold.reason}" if hold else finding.reason,
        cause=bound.rule.cause,
        action=bound.action,
        trigger_id=str(uuid.uuid5(NAMESPACE, own)) if fires else None,
        dedupe_key=(hold and hold.dedupe_key) or own,
        evidence=[asdict(each) for each in finding.evidence],
        consecutive=consecutive,
        cooldown_until=facts.now + bound.params.cooldown if fires else None,
        window_start=facts.window_start,
        window_end=facts.window_end,
    )


def _hold(facts: Facts, bound: BoundRule, consecutive: int, fired: Decision | None) -> Hold | None:
    """The first thing that keeps the rule from firing: its own patience, then the loop's."""
    return (
        too_few(consecutive, bound.params.consecutive)
        or cooling(facts)
        or in_flight(facts)
        or (Hold(f"{fired.rule} fired in this batch", fired.dedupe_key) if fired else None)
    )


def _dedupe_key(facts: Facts, bound: BoundRule) -> str:
    """The batch's end is part of it: in another warehouse, batch 12 is another batch."""
    end = facts.window_end.astimezone(UTC).isoformat()
    return f"{facts.loop}|{bound.rule_hash}|{facts.batch_id}|{end}"
