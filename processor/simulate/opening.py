"""What is announced before the first inference: the features, and the baseline's deployment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processor.simulate.census import BASELINE_VERSION, CODED, MODEL, NUMERIC, new_year
from processor.simulate.ids import uuid7s
from processor.simulate.message import SERVICE, Message

FEATURE_SET = "employment-features"
FEATURE_SET_VERSION = "1"


def opening(reference: pa.Table, year: int, seed: int) -> Iterator[Message]:
    """The feature set as the baseline's history has it, then REGISTERED and DEPLOYED."""
    at = new_year(year)
    rng = np.random.default_rng([seed, year, at])
    announced, registered, deployed = uuid7s(np.full(3, at), rng)
    body = {
        **_header(announced, at),
        "feature_set": FEATURE_SET,
        "version": FEATURE_SET_VERSION,
        "features": [*_features(reference)],
        "model_name": MODEL,
        "valid_from": at,
    }
    yield Message("feature_sets", "FeatureMetadata", FEATURE_SET, at, body)
    for event_id, action in ((registered, "REGISTERED"), (deployed, "DEPLOYED")):
        body = {
            **_header(event_id, at),
            "model_name": MODEL,
            "model_version": BASELINE_VERSION,
            "action": action,
            "role": "PRIMARY",
            "traffic_share": 1.0,
        }
        yield Message("lifecycle", "ModelLifecycle", MODEL, at, body)


def _header(event_id: str, at: int) -> dict[str, Any]:
    return {"event_id": event_id, "event_time": at, "source": SERVICE}


def _features(reference: pa.Table) -> Iterator[dict[str, Any]]:
    for name in NUMERIC:
        span = pc.min_max(reference[name]).as_py()
        yield {"name": name, "semantic": "NUMERIC", "nullable": False, **span}
    for name in CODED:
        codes = sorted(pc.unique(reference[name]).to_pylist())
        yield {
            "name": name,
            "semantic": "CATEGORICAL",
            "nullable": False,
            "allowed_values": codes,
        }
