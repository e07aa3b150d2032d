"""Which quarantined records a replay takes: all, those of some codes, those of some ranges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from processor.errors import ConfigError

_SPAN = re.compile(r"(?P<topic>[^/]+)/(?P<partition>\d+)/(?P<start>\d+)-(?P<end>\d+)")


class Span(NamedTuple):
    """The offsets `[start, end)` of a partition."""

    topic: str
    partition: int
    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Span:
        """`TOPIC/PARTITION/START-END`; raises ConfigError for anything else."""
        found = _SPAN.fullmatch(text)
        if found is None or int(found["start"]) >= int(found["end"]):
            raise ConfigError(
                f"{text!r} is no range of offsets",
                remedy="write TOPIC/PARTITION/START-END; END is the first offset after it",
            )
        return cls(found["topic"], *(int(found[n]) for n in ("partition", "start", "end")))


@dataclass(frozen=True)
class Selection:
    """A record is taken if it has one of the codes and is in one of the spans; none means any."""

    codes: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, codes: Iterable[str], spans: Iterable[Span]) -> Selection:
        """The same selection whatever the order it was asked in."""
        return cls(tuple(sorted(set(codes))), tuple(sorted(set(spans))))

    @property
    def text(self) -> str:
        """Canonical JSON: what a batch keeps of it."""
        return json.dumps({"codes": self.codes, "ranges": self.spans}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Selection:
        """The selection that `text` wrote."""
        told = json.loads(text)
        return cls(tuple(told["codes"]), tuple(Span(*each) for each in told["ranges"]))

    def takes(self, defects: Column) -> Column:
        """Whether a row is taken, by its defects and its columns topic, partition and offset."""
        inside = reduce(or_, map(_inside, self.spans)) if self.spans else F.lit(True)
        if not self.codes:
            return inside
        return inside & F.exists(defects, lambda each: each["code"].isin(*self.codes))


def _inside(span: Span) -> Column:
    return (
        (F.col("topic") == span.topic)
        & (F.col("partition") == span.partition)
        & F.col("offset").between(span.start, span.end - 1)
    )
