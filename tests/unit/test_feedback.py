"""What one event comes to, who is credited with it, and when it counts."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from processor.feedback import Question, attribute, known, questions, read, served
from processor.terms.plain import Plain, number_text
from tests.unit.asking import MINUTE, T0, Event, asked, loop, outcomes, output, said

# --- what an event comes to -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "told", "value", "reward"),
    [
        ("thumbs", {"kind": "THUMBS", "value_bool": True}, "true", 1.0),
        ("thumbs", {"kind": "THUMBS", "value_bool": False}, "false", 0.0),
        (
            "rating",
            {"kind": "RATING", "value_num": 4, "scale_min": 1, "scale_max": 5},
            "0.75",
            0.75,
        ),
        (
            "rating",
            {"kind": "RATING", "value_num": -1, "scale_min": -1, "scale_max": 1},
            "0.0",
            0.0,
        ),
        ("label", {"kind": "LABEL", "value_num": 3}, "3.0", 0.0),
        ("label", {"kind": "LABEL", "value_str": "true"}, "true", 1.0),
        ("click", {"kind": "ENGAGEMENT"}, "true", 1.0),
        ("click", {"kind": "ENGAGEMENT", "value_bool": False}, "false", 0.0),
        ("dwell", {"kind": "ENGAGEMENT", "dwell_ms": 1500}, "1.5", 1.5),
        ("position", {"kind": "ENGAGEMENT", "position": 0}, "1.0", 1.0),
        ("position", {"kind": "ENGAGEMENT", "position": 3}, "0.25", 0.25),
        ("correction", {"kind": "CORRECTION", "value_str": "cat"}, "cat", 0.0),
        ("correction", {"kind": "CORRECTION", "content_json": "[1]"}, "[1]", 0.0),
        ("demonstration", {"kind": "DEMONSTRATION", "content_json": "{}"}, "{}", None),
        ("ranking", {"kind": "RANKING", "ranking": ["c2", "c1"]}, "c2", None),
        ("reward", {"kind": "REWARD", "value_num": -0.5}, "-0.5", -0.5),
        ("flag", {"kind": "FLAG"}, "true", 1.0),
        ("ground_truth", {"value_bool": True}, "true", 1.0),
    ],
)
def test_a_signal_comes_to(signal: str, told: Event, value: str, reward: float | None) -> None:
    (found,) = outcomes([output("i")], [said(**told)], asked(signal)).values()
    assert (found.value, found.reward) == (value, reward)


@pytest.mark.parametrize(
    ("signal", "told"),
    [
        ("rating", {"kind": "RATING", "value_num": 4}),
        ("rating", {"kind": "RATING", "value_num": 4, "scale_min": 4, "scale_max": 4}),
        ("reward", {"kind": "REWARD", "value_num": float("nan")}),
        ("position", {"kind": "ENGAGEMENT", "position": -1}),
        ("dwell", {"kind": "ENGAGEMENT", "value_bool": True}),
        ("ranking", {"kind": "RANKING", "ranking": []}),
        ("thumbs", {"kind": "LABEL", "value_bool": True}),
        ("thumbs", {"kind": "THUMBS", "value_bool": True, "metric": "another"}),
        ("thumbs", {"kind": "THUMBS", "value_bool": True, "level": "SESSION", "session_id": "s"}),
    ],
)
def test_what_says_nothing_is_no_answer(signal: str, told: Event) -> None:
    assert not read(said(**told), asked(signal))


@pytest.mark.parametrize(
    ("told", "reward"),
    [
        ({"value_num": 4}, 0.75),
        ({"value_num": 1}, 0.0),
        ({"value_num": 5.0}, 1.0),
        ({"value_num": 4, "scale_min": 0, "scale_max": 10}, 0.4),
        ({"value_num": 7, "scale_min": 0, "scale_max": 10}, 0.7),
        ({"value_num": 0.999}, None),
        ({"value_num": 5.001}, None),
        ({"value_num": None, "value_bool": True}, None),
        ({"value_num": float("nan")}, None),
        ({"value_num": 4, "scale_min": 1}, None),
        ({"value_num": 4, "scale_max": 5}, None),
        ({"value_num": 4, "scale_min": float("nan"), "scale_max": float("nan")}, None),
    ],
)
def test_a_rating_is_on_its_own_scale_or_else_on_that_of_its_loop(
    told: Event, reward: float | None
) -> None:
    given = [
        each.reward for each in read(said(kind="RATING", **told), asked("rating", scale=[1, 5]))
    ]
    assert given == ([] if reward is None else [pytest.approx(reward)])


def test_what_is_asked_for_and_says_nothing_is_blank() -> None:
    question = asked("rating", scale=[1, 5])
    blank: dict[str, Event] = {
        "off the scale": {"value_num": 6},
        "half a scale": {"value_num": 4, "scale_min": 1},
        "no number": {"value_bool": True},
        "about nothing": {"value_num": 4, "inference_id": None},
    }
    other: dict[str, Event] = {
        "an answer": {"value_num": 4},
        "taken back": {"value_num": 6, "op": "RETRACT"},
        "of another metric": {"value_num": 6, "metric": "another"},
        "of another kind": {"value_num": 6, "kind": "REWARD"},
        "of another level": {"value_num": 6, "level": "SESSION", "session_id": "s"},
    }
    found = {
        name: question.blank(Plain(said(**{"kind": "RATING", **told})))
        for name, told in (blank | other).items()
    }
    assert found == {name: name in blank for name in found}


@pytest.mark.parametrize(
    ("outcome", "worth"), [("A", (1, 0)), ("B", (0, 1)), ("TIE", (0.5, 0.5)), ("BOTH_BAD", (0, 0))]
)
def test_a_preference_says_something_of_both(outcome: str, worth: tuple[float, float]) -> None:
    pair = {"a_inference_id": "i", "b_inference_id": "j", "outcome": outcome}
    found = outcomes(
        [output("i"), output("j")], [said(kind="PREFERENCE", preference=pair)], asked("preference")
    )
    assert (found["i"].reward, found["j"].reward) == worth


def test_an_inference_is_not_preferred_to_itself() -> None:
    pair = {"a_inference_id": "i", "b_inference_id": "i", "outcome": "A"}
    assert not read(said(kind="PREFERENCE", preference=pair), asked("preference"))


def test_the_threshold_itself_is_reached() -> None:
    question = asked("dwell", threshold=30, positive="stayed", negative="left")
    for ms, value, state in ((30_000, "stayed", "POSITIVE"), (29_999, "left", "NEGATIVE")):
        event = said(kind="ENGAGEMENT", dwell_ms=ms)
        (found,) = outcomes([output("i")], [event], question).values()
        assert (found.value, found.state, found.reward) == (value, state, ms / 1000)


def test_numbers_read_back_as_what_they_were() -> None:
    rng = Random(2)
    for _ in range(2000):
        number = rng.choice((1, -1)) * rng.random() * 10.0 ** rng.randrange(-320, 308)
        assert float(number_text(number)) == number
    shown = {1e7: "1.0E7", 9999999.0: "9999999.0", 0.001: "0.001", 1e-4: "1.0E-4", -0.0: "-0.0"}
    assert {number: number_text(number) for number in shown} == shown


# --- whom it is about -----------------------------------------------------------------------------


def credits_of(question: Question, minute: float, *outputs: Event) -> dict[str, float]:
    event = said(minute, level="SESSION", session_id="s", kind="THUMBS", value_bool=True)
    seen = [one for each in outputs if (one := served(each, question)) is not None]
    given = attribute(read(event, question), seen, question)
    return {name: answers[0].credit for name, answers in given.items()}


THREE = (output("c", 20), output("a", 0), output("b", 10))


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        ({"rule": "last"}, {"c": 1.0}),
        ({"rule": "first"}, {"a": 1.0}),
        ({"rule": "uniform"}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
        ({"rule": "time_decay", "half_life": "10m"}, {"a": 1 / 7, "b": 2 / 7, "c": 4 / 7}),
    ],
)
def test_an_answer_to_a_session_is_divided(credit: Event, expected: dict[str, float]) -> None:
    question = asked("thumbs", level="session", credit=credit)
    assert credits_of(question, 30, *THREE) == pytest.approx(expected)


def test_only_what_was_seen_before_the_answer_and_in_its_window_shares_it() -> None:
    question = asked("thumbs", level="session", credit={"rule": "uniform"})
    planted = (
        output("too early", -1),
        output("oldest", 0),
        output("at the answer", 60),
        output("after", 61),
        output("shadow", 30, role="SHADOW"),
        output("failed", 30, status="ERROR"),
        output("another model", 30, model_name="another"),
        output("another session", 30, session_id="t"),
    )
    assert credits_of(question, 60, *planted) == {"oldest": 0.5, "at the answer": 0.5}
    assert credits_of(question, -2, *planted) == {}


def test_a_session_without_a_name_begins_after_a_pause() -> None:
    question = asked("thumbs", level="session", session_gap="10m", credit={"rule": "uniform"})
    outputs = [output(f"at {m}", m, session_id=None, subject_key="u") for m in (0, 11, 21, 31)]
    outputs += [output("another's", 30, subject_key="v"), output("nobody's", 30)]

    def reached(minute: float, **told: str) -> set[str]:
        base = {"level": "SESSION", "session_id": "s", "kind": "THUMBS", "value_bool": True}
        answers = read(said(minute, **base, **told), question)
        seen = [one for each in outputs if (one := served(each, question)) is not None]
        return {*attribute(answers, seen, question)}

    assert reached(31, subject_key="u") == {"at 11", "at 21", "at 31"}
    assert reached(25, subject_key="u") == {"at 11", "at 21"}
    assert reached(10, subject_key="u") == {"at 0"}
    assert reached(10.5, subject_key="u") == reached(42, subject_key="u") == set()
    assert reached(31) == set()


@pytest.mark.parametrize("named", [None, ""])
def test_an_answer_that_names_no_session_is_of_none(named: str | None) -> None:
    """An empty name is not that of a session, even if outputs have the same."""
    question = asked("thumbs", level="session", credit={"rule": "uniform"})
    event = said(5, level="SESSION", session_id=named, kind="THUMBS", value_bool=True)
    answers = read(event | {"subject_key": "u"}, question)
    outputs = [served(output("a", session_id=named, subject_key="u"), question)]
    assert (answers, attribute(answers, filter(None, outputs), question)) == ([], {})
    assert question.blank(Plain(event))


def test_of_two_at_one_moment_the_name_decides_who_is_last() -> None:
    question = asked("thumbs", level="session", credit={"rule": "last"})
    assert credits_of(question, 5, output("b"), output("a")) == {"b": 1.0}


def test_very_old_outputs_still_share_all_of_an_answer() -> None:
    told = {"rule": "time_decay", "half_life": "1s"}
    question = asked("thumbs", level="session", credit=told, window="3650d")
    shares = credits_of(question, 60 * 24 * 3000, output("a"), output("b", 0.1))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["b"] > shares["a"] > 0


def test_a_retraction_takes_the_answer_back_from_whom_it_was_given_to() -> None:
    question = asked("thumbs", level="session", credit={"rule": "last"})
    told: Event = {"level": "SESSION", "session_id": "s", "kind": "THUMBS"}
    first = said(5, value_bool=True, **told)
    back = said(15, event_id="f", op="RETRACT", supersedes="e", **told)
    outputs = [output("a", 0), output("b", 10)]
    assert outcomes(outputs, [first], question)["a"].state == "POSITIVE"
    found = outcomes(outputs, [first, back], question)
    assert {name: each.state for name, each in found.items()} == {"a": "RETRACTED"}


def test_answers_that_supersede_one_another_in_a_circle_are_refused() -> None:
    question = asked("thumbs", default="negative")
    told: Event = {"kind": "THUMBS", "value_bool": True, "op": "UPDATE"}
    ring = [
        said(minute, event_id=name, supersedes=other, **told)
        for minute, name, other in ((1, "a", "c"), (2, "b", "a"), (3, "c", "b"))
    ]
    mark = T0 + timedelta(days=30)
    (found,) = outcomes([output("i")], ring, question, mark).values()
    assert (found.state, found.value, found.reward) == ("RETRACTED", None, None)
    stands = said(0, event_id="d", kind="THUMBS", value_bool=False)
    (beside,) = outcomes([output("i")], [*ring, stands], question, mark).values()
    assert (beside.state, beside.value) == ("NEGATIVE", "false")
    (chain,) = outcomes([output("i")], ring[1:], question, mark).values()
    assert chain.state == "POSITIVE"


def test_an_answer_about_a_candidate_is_about_the_one_that_was_shown() -> None:
    question = asked("thumbs", level="candidate")
    listed = [{"candidate_id": "c1"}, {"candidate_id": "c2"}]
    shown = output("i", candidates=listed, shown_candidate_id="c1")
    told: Event = {"level": "CANDIDATE", "kind": "THUMBS", "value_bool": True}
    assert outcomes([shown], [said(candidate_id="c1", **told)], question)
    assert not outcomes([shown], [said(candidate_id="c2", **told)], question)
    all_of_them = output("i", candidates=listed)
    assert outcomes([all_of_them], [said(candidate_id="c2", **told)], question)
    assert not outcomes([all_of_them], [said(**told)], question), "it names none"


def test_a_truth_of_a_request_is_whole_for_each_output_that_was_seen() -> None:
    question = asked("ground_truth", level="request")
    outputs = [
        output("a", request_id="r", model_version="1", variant="blue", deployment_id="d1"),
        output("b", request_id="r", model_version="2", role="CANARY"),
        output("c", request_id="r", role="SHADOW"),
        output("d", request_id="q"),
    ]
    event = {"event_id": "e", "event_time": T0 + MINUTE, "metric": "m", "value_bool": True}
    found = outcomes(outputs, [event | {"entity_key": "r"}], question)
    assert {name: each.credit for name, each in found.items()} == {"a": 1.0, "b": 1.0}
    assert (found["a"].variant, found["a"].deployment_id) == ("blue", "d1")
    assert found["b"].model_version == "2"


def test_silence_is_negative_when_the_window_is_closed_and_no_sooner() -> None:
    question = asked("click", default="negative", grace="1m")
    closes = T0 + 61 * MINUTE
    assert not outcomes([output("i")], [], question, closes - timedelta(microseconds=1))
    (found,) = outcomes([output("i")], [], question, closes).values()
    assert (found.state, found.timing, found.value) == ("NEGATIVE", "DEFAULT", "false")
    assert (found.reward, found.credit) == (0.0, 1.0)


# --- what is said nearly twice --------------------------------------------------------------------

POLITE = {"near": "5s", "near_policy": "first"}
SECOND = 1 / 60  # minutes


def clicks(*events: Event, **arrivals: str) -> str | None:
    """What the thumbs of one inference come to, by seconds, in order of arrival."""
    outcome = {"metric": "m", "signal": "thumbs", "window": "1h"}
    question = questions(loop(outcome=outcome, arrivals=arrivals))[0]
    told = [
        said(each.pop("at") * SECOND, kind="THUMBS", event_id=f"e{n}", source="app", **each)
        for n, each in enumerate(map(dict, events))
    ]
    found = outcomes([output("i")], told, question)
    return found["i"].value if "i" in found else None


def up(at: float, **told: str) -> Event:
    return {"at": at, "value_bool": True, **told}


def down(at: float, **told: str) -> Event:
    return {"at": at, "value_bool": False, **told}


@pytest.mark.parametrize(
    ("events", "keep", "first"),
    [
        ([up(1), down(4)], "false", "true"),
        ([up(1), down(6)], "false", "true"),
        ([up(1), down(6.001)], "false", "false"),
        ([down(4), up(1)], "false", "true"),
        ([up(1), down(1)], "false", "true"),
        ([up(1), down(5), down(9)], "false", "true"),
        ([up(1, rater_id="a"), down(4, rater_id="b")], "false", "false"),
        ([up(1, rater_id="a"), down(4, rater_id="a")], "false", "true"),
        ([up(1, rater_id="a"), down(4, client_hash="a")], "false", "false"),
        ([up(1, rater_id=""), down(4)], "false", "true"),
        ([up(1, item_id="x"), down(4, item_id="y")], "false", "false"),
        ([up(1), down(4, op="UPDATE", supersedes="e0")], "false", "false"),
        ([up(1), down(2), up(3, op="UPDATE", supersedes="e1")], "true", "true"),
        ([up(-1), down(4)], "false", "false"),
    ],
)
def test_of_what_is_said_nearly_twice_the_policy_says_what_counts(
    events: list[Event], keep: str, first: str
) -> None:
    assert (clicks(*events, near="5s"), clicks(*events, **POLITE)) == (keep, first)


def test_an_answer_too_late_to_count_is_no_reason_to_leave_one_out() -> None:
    outcome = {"metric": "m", "signal": "thumbs", "window": "1h"}
    question = questions(loop(outcome=outcome, arrivals=POLITE))[0]
    closed = T0 + 61 * MINUTE
    early, late = (
        said(event_id="a", kind="THUMBS", source="app", value_bool=True),
        said(event_id="b", kind="THUMBS", source="app", value_bool=False),
    )
    answers = [*read(late, question, closed), *read(early, question)]
    (seen,) = [served(output("i"), question)]
    assert seen is not None
    assert known([seen], answers, question)["i"].value == "true"
