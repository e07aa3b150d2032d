"""Which definition of a feature is valid when, beside the rule in plain words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from processor.measure.definitions import Definition, protected, spans

Row = dict[str, Any]
T0 = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def feature(name: str, **told: Any) -> Row:  # noqa: ANN401  # any field
    base: Row = {"name": name, "min": None, "max": None, "allowed_values": [], "nullable": True}
    return {**base, "is_protected": False, **told}


def event(name: str, features: list[Row], day: int, of: str = "f", model: str | None = None) -> Row:
    return {
        "event_id": name,
        "feature_set": of,
        "model_name": model,
        "valid_from": T0 + day * DAY,
        "features": features,
    }


def drawn(rng: Random) -> list[Row]:
    """Sets of two names and of few days: ties, repeats and other models are common."""
    return [
        event(
            f"e{rng.randrange(30)}",
            [feature(name, min=float(number)) for name in rng.sample("xyz", rng.randrange(1, 4))],
            rng.randrange(5),
            rng.choice("fg"),
            rng.choice((None, "m", "other")),
        )
        for number in range(20)
    ]


def oracle(events: list[Row], at: datetime) -> dict[str, float]:
    """By feature, its least value: said by the set that was valid last, of each set's last word."""
    ids: set[str] = set()
    first = []
    for row in events:
        if row["model_name"] != "other" and row["event_id"] not in ids:
            ids.add(row["event_id"])
            first.append(row)
    numbered = [(row["valid_from"], n, row) for n, row in enumerate(first)]
    valid = [each for each in numbered if each[0] <= at]
    last = [
        max(e for e in valid if e[2]["feature_set"] == s)
        for s in {e[2]["feature_set"] for e in valid}
    ]
    found: dict[str, float] = {}
    for _, _, row in sorted(last, key=lambda e: e[:2]):
        found |= {each["name"]: each["min"] for each in row["features"]}
    return found


def test_at_any_time_the_definitions_are_those_of_the_rule() -> None:
    rng = Random(3)
    seen = 0
    for _ in range(300):
        events = drawn(rng)
        found = spans(events, "m")
        for hours in range(-24, 24 * 6, 12):
            at = T0 + timedelta(hours=hours)
            valid = [s for s in found if s.start <= at and (s.end is None or at < s.end)]
            told = {each.name: each.low for span in valid for each in span.features}
            assert told == oracle(events, at)
            assert len(valid) <= 1
            seen += bool(told)
    assert seen > 1000


def test_a_definition_says_what_a_value_may_be() -> None:
    told = feature("x", min=1.0, max=2.0, allowed_values=["a"], nullable=False)
    ((start, end, features),) = spans([event("e", [told], 0)], "m")
    assert (start, end) == (T0, None)
    assert features == (Definition("x", 1.0, 2.0, ("a",), required=True),)
    assert spans([], "m") == []


def test_what_was_protected_once_stays_so() -> None:
    events = [
        event("a", [feature("age", is_protected=True), feature("income")], 0),
        event("b", [feature("age"), feature("income")], 1),
        event("c", [feature("zip", is_protected=True)], 9, model="m"),
        event("d", [feature("income", is_protected=True)], 0, model="other"),
    ]
    assert protected(events, "m") == {"age", "zip"}
