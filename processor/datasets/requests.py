"""Which inferences without a label are asked about, and with what probability. Pure.

The same policies choose as for datasets: each candidate has a probability, and a draw of its own
decides. What was asked for with a small probability stands for many that were not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import Field
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from processor.checked import checked
from processor.datasets.chain import Chain, chain, counted, with_chances
from processor.datasets.draws import draw
from processor.datasets.sampling.base import Policy
from processor.errors import ConfigError
from processor.loops import LoopConfig
from processor.plugins import Registry, nearest
from processor.sections import Duration, Section

NAMESPACE = UUID("4a0d3c1e-64f5-5d0a-8b42-2f6d1f0c7e55")
"""What the names of queries are made in (UUIDv5, of `loop|inference_id`)."""

_VARIANTS = "89ab" * 4  # RFC 9562, 4.1: the two highest bits of the digit are 10


class RequestsConfig(Section):
    """What `label_requests` says beside its policies.

    A request is void `expires` after the batch's watermark, and in any case when the window of its
    inference is over: an answer would not count. `seed` makes the draws.
    """

    expires: Duration | None = Field(default=None, gt=timedelta(0))
    seed: int = 0


@dataclass(frozen=True)
class Asking:
    """How a loop asks for labels, its policies found and their parameters checked."""

    loop: LoopConfig
    config: RequestsConfig
    chain: Chain

    @property
    def policy(self) -> str:
        """The policies by name, in the order in which they choose."""
        return "+".join(link.policy.name for link in self.chain.links)

    @property
    def salt(self) -> str:
        """What the draws that choose are made with."""
        return f"ask|{self.loop.loop}|{self.config.seed}"


def asking(loop: LoopConfig, policies: Registry[Policy]) -> Asking | None:
    """What the loop file says of label requests; None where it asks for none.

    Raises:
        ConfigError: a key or policy that is not known, or one that reads the label asked for.
    """
    if loop.label_requests is None:
        return None
    where = f"the loop {loop.loop!r}, label_requests"
    told = dict(loop.label_requests)
    common = {key: told.pop(key) for key in RequestsConfig.model_fields if key in told}
    config = checked(RequestsConfig, common, where)
    if "min_effective" in told:
        raise ConfigError(
            f"{where}: min_effective refuses versions of datasets, not requests",
            remedy="leave `min_effective` out",
        )
    if not {"policy", "policies"} & set(told):
        raise ConfigError(f"{where} names no policy", remedy="write `policy: NAME`")
    if "policy" in told:
        known = ["policy", *RequestsConfig.model_fields]
        known += policies[str(told["policy"])].params.model_fields
        for key in sorted(told.keys() - set(known)):
            raise ConfigError(f"{where}: unknown key {key!r}", remedy=nearest(key, known))
    found = chain(told, policies, where)
    for link in found.links:
        if link.policy.of_answers(link.params):
            raise ConfigError(
                f"{where}: {link.policy.name} goes by answers, and there are none yet",
                remedy="choose by what is known of an inference before it is answered",
            )
    return Asking(loop, config, found)


def requested(candidates: DataFrame, asking: Asking, now: datetime, window: timedelta) -> DataFrame:
    """The requests that are made of `candidates`, each an inference that can be asked about.

    Columns in: inference_id, response_time, and what the policies read. `now` is the batch's
    watermark, `window` the span in which answers count.
    Columns out: those of the table `label_requests`, but for the batch. `priority` is a random
    order, 1 first: whoever answers only the first of them answers an even sample.
    """
    unknown = F.lit(None)
    drawn = candidates.withColumns(
        {
            "label": unknown.cast("string"),
            "reward": unknown.cast("double"),
            "watermark": F.lit(now),
        }
    ).select(
        *("inference_id", "response_time"),
        asking.chain.cells().alias("cells"),
        asking.chain.score().alias("score"),
        draw(F.col("inference_id"), asking.salt).alias("drawn"),
    )
    chances = asking.chain.allot(counted(drawn))
    chosen = with_chances(drawn, chances).where(F.col("drawn") < F.col("inclusion_prob"))
    loop = F.lit(asking.loop.loop)
    by_lot = Window.partitionBy("loop").orderBy(
        draw(F.col("inference_id"), f"order|{asking.salt}"), "inference_id"
    )
    ends = F.col("response_time") + F.lit(window)
    void = F.lit(now + asking.config.expires) if asking.config.expires else ends
    return chosen.withColumn("loop", loop).select(
        *("loop", "inference_id", "score", "inclusion_prob", "response_time"),
        query_id(loop, F.col("inference_id")).alias("query_id"),
        F.lit(asking.policy).alias("policy"),
        F.row_number().over(by_lot).alias("priority"),
        F.lit(now).alias("asked_at"),
        F.least(ends, void).alias("expires_at"),
    )


def query_id(loop: Column, inference_id: Column) -> Column:
    """The UUIDv5 of `loop|inference_id`: an inference is asked about once in a loop, by one name.

    Source: RFC 9562, 5.5.
    """
    name = F.encode(F.concat(loop, F.lit("|"), inference_id), "UTF-8")
    digest = F.sha1(F.concat(F.unhex(F.lit(NAMESPACE.hex)), name))
    variant = F.translate(F.substring(digest, 17, 1), "0123456789abcdef", _VARIANTS)
    return F.concat_ws(
        "-",
        F.substring(digest, 1, 8),
        F.substring(digest, 9, 4),
        F.concat(F.lit("5"), F.substring(digest, 14, 3)),
        F.concat(variant, F.substring(digest, 18, 3)),
        F.substring(digest, 21, 12),
    )
