"""The next cut: what Kafka holds is asked here, where a batch ends is decided in `cuts`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from processor.batches import Bounds, Partition, Range, next_ranges
from processor.config import Config
from processor.cuts import cut, held_back, rest, split, targets, whole
from processor.errors import ConfigError
from processor.kafka.offsets import Broker
from processor.kafka.patience import asked
from processor.stages.base import Request


class Past(NamedTuple):
    """What earlier batches took.

    `read` is the last range of every partition ever read, `last` the ranges of the last batch,
    `cut_time` the moment that it was asked to end at, and `ended` when it did end.
    """

    read: Mapping[Partition, Range]
    last: tuple[Range, ...]
    cut_time: datetime | None
    ended: datetime | None


class Nothing(NamedTuple):
    """No batch is to be taken; `held_back`: offsets that open transactions keep from being one."""

    held_back: Mapping[Partition, int] = MappingProxyType({})


class Cut(NamedTuple):
    """Ranges of a batch to be, the moment they end at, and what open transactions hold back."""

    ranges: tuple[Range, ...]
    time: datetime | None
    held_back: Mapping[Partition, int]


def next_cut(config: Config, past: Past, request: Request, patience: timedelta) -> Cut | Nothing:
    """What the next batch takes: the rest of a cut that was divided, else a new cut.

    Nothing where nothing new can be read, or all that was asked for is taken. A cut at a moment
    may be empty: it says that until then nothing came.

    Raises:
        Unavailable: the broker does not answer.
        LossDetected: what was read, or was about to be, is gone.
    """
    divided = any(each.left_over for each in past.last)
    if not divided and request.until and past.ended and request.until <= past.ended:
        return Nothing()
    broker, new_topic = Broker(config.kafka), request.accepted.new_topic
    bounds = _bounds(broker, config, past)
    if left := rest(past.last, bounds):
        promised = {p: whole(each) for p, each in past.read.items()}
        next_ranges(promised, bounds, accept_new_topic=new_topic)  # all of it is still there
        return Cut(split(left, config.batch.max_rows), past.cut_time, {})
    return _new(broker, config, past, request, bounds, patience)


def _new(
    broker: Broker,
    config: Config,
    past: Past,
    request: Request,
    bounds: Mapping[Partition, Bounds],
    patience: timedelta,
) -> Cut | Nothing:
    """The bounds were asked before the offsets of the moment: what came since is in neither."""
    at = broker.at(bounds, request.until) if request.until else {}
    wanted = targets(bounds, at)
    if held_back(bounds, wanted):
        bounds = asked(
            lambda: _bounds(broker, config, past, wanted),
            lambda now: bool(held_back(now, wanted)),
            patience,
        )
    reached = cut(past.read, bounds, wanted) if request.until else bounds
    ranges = next_ranges(past.read, reached, accept_new_topic=request.accepted.new_topic)
    short = held_back(bounds, wanted)
    if request.until is None and not any(each.expected for each in ranges):
        return Nothing(short)
    return Cut(split(ranges, config.batch.max_rows), request.until, short)


def _bounds(
    broker: Broker, config: Config, past: Past, known: Mapping[Partition, int] | None = None
) -> dict[Partition, Bounds]:
    """What the broker holds, of the partitions `known` or of all; asked again if it looks lagging.

    Raises:
        ConfigError: there is no input topic at all, and none was ever read.
    """
    bounds = broker.bounds_after(config.topics.by_topic(), past.read)
    if not bounds and not past.read:
        raise ConfigError(
            f"none of the input topics exists on {config.kafka.bootstrap_servers}",
            remedy="create them, or set `topics` to the names they have",
        )
    return {p: now for p, now in bounds.items() if known is None or p in known}
