"""What is encoded is read by others, in the framing that says so."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import fastavro

from processor.avro.contracts import contract
from processor.avro.encode import by_fingerprint, by_id, encode
from processor.avro.framing import frame
from processor.avro.source import fingerprint

TEXT = contract("ModelLifecycle").text
BODY = {
    "event_id": "e",
    "event_time": datetime(2016, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "source": "s",
    "model_name": "Grüße",
    "model_version": "1",
    "action": "REGISTERED",
}


def test_a_body_comes_back_with_the_defaults_of_what_was_left_out() -> None:
    for reference, told in (
        (by_id(2**31 - 1), f"confluent:{2**31 - 1}"),
        (by_fingerprint(TEXT), f"single-object:{fingerprint(TEXT)}"),
    ):
        found = frame(encode(BODY, TEXT, reference))
        assert str(found.ref) == told
        said = fastavro.schemaless_reader(io.BytesIO(found.body), json.loads(TEXT), None)
        assert isinstance(said, dict)
        assert {name: said[name] for name in BODY} == BODY
        assert said["tenant"] == "default"
