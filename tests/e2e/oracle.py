"""What had to become known, counted in plain pandas from what was produced.

An answer is in the window when it happened within `WINDOW` of the response. The window is closed
once a batch ends with a watermark, the largest record timestamp so far, that has passed
`WINDOW + GRACE`; what lands in a later batch is late. The same event id counts once, where it
landed first. Of the answers that count, those that another of them supersedes do not, and of the
rest the one that happened last says what is true.
"""

from __future__ import annotations

import pandas as pd

WINDOW, GRACE = pd.Timedelta(days=14), pd.Timedelta(days=1)
PLACE = ["batch_id", "topic", "partition", "offset"]


def watermarks(events: pd.DataFrame) -> pd.Series:
    """The watermark of each batch; poison counts, as any record does."""
    return events.groupby("batch_id")["timestamp"].max().cummax()


def inferences(events: pd.DataFrame, batch: int) -> pd.DataFrame:
    """The inferences that somebody saw, as of the batch: one row each, by inference id."""
    seen = events[
        (events["record"] == "InferenceEvent")
        & events["poison"].isna()
        & (events["role"] == "PRIMARY")
        & (events["batch_id"] <= batch)
    ]
    return seen.sort_values(PLACE).drop_duplicates("inference_id").set_index("inference_id")


def answers(events: pd.DataFrame, batch: int) -> pd.DataFrame:
    """Every answer as of the batch, once, with its timing: on_time, late or outside."""
    said = events[
        (events["record"] == "GroundTruth")
        & events["poison"].isna()
        & (events["metric"] == "employed")
        & (events["batch_id"] <= batch)
    ]
    once = said.sort_values(PLACE).drop_duplicates("event_id")
    asked = once["inference_id"].map(inferences(events, batch)["response_time"])
    found = once.assign(asked=asked).dropna(subset="asked")
    lag = found["event_time"] - found["asked"]
    inside = lag.between(pd.Timedelta(0), WINDOW)
    before = found["batch_id"].map(watermarks(events).shift())
    late = before >= found["asked"] + WINDOW + GRACE
    timing = pd.Series("on_time", found.index).mask(late, "late").where(inside, "outside")
    return found.assign(timing=timing)


def known(events: pd.DataFrame, batch: int) -> pd.Series:
    """What is known as of the batch: whether it came true, by inference id."""
    counted = answers(events, batch).query("timing == 'on_time'")
    live = counted[~counted["event_id"].isin(counted["supersedes"].dropna())]
    last = live.sort_values(["event_time", *PLACE]).groupby("inference_id")["value_bool"].last()
    return last.astype(bool)


def news(events: pd.DataFrame, batch: int) -> pd.Series:
    """What became known in the batch, or changed: as `known`."""
    now = known(events, batch)
    before = known(events, batch - 1).reindex(now.index)
    return now[before.isna() | (before != now)]


def counts(events: pd.DataFrame, batch: int) -> dict[str, int]:
    """How many inferences stand where as of the batch."""
    asked, sure = inferences(events, batch), known(events, batch)
    pending = asked[~asked.index.isin(sure.index)]
    still = pending["response_time"] + WINDOW + GRACE > watermarks(events)[batch]
    timings = answers(events, batch).groupby("timing")["inference_id"].nunique()
    return {
        "known": len(sure),
        "censored": int(still.sum()),
        "unknown": int((~still).sum()),
        "retracted": 0,
        "tied": 0,
        "late": int(timings.get("late", 0)),
        "outside": int(timings.get("outside", 0)),
        "too_old": 0,  # nothing lands a year after it was served
    }
