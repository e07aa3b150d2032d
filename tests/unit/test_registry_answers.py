"""What a registry says, or does not: against one that answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from processor.avro import defects
from processor.avro.framing import SchemaRef
from processor.avro.source import Missing, Resolved, SchemaSource
from processor.config import LimitsConfig, RegistryConfig
from processor.errors import Unavailable

OWN = json.dumps({"type": "record", "name": "Own", "fields": [{"name": "x", "type": "int"}]})
GUID = "01234567-89ab-cdef-0123-456789abcdef"
HELD = {"/schemas/ids/7": OWN, f"/schemas/guids/{GUID}": OWN}


class StandIn(ThreadingHTTPServer):
    """The two calls by which schemas are asked for; `status` is what it answers with."""

    def __init__(self, schemas: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.schemas, self.status = dict(schemas), 200
        self.asked: list[str] = []

    @property
    def config(self) -> RegistryConfig:
        return RegistryConfig(url=f"http://127.0.0.1:{self.server_port}")


class Answer(BaseHTTPRequestHandler):
    """One answer."""

    server: StandIn

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        text = self.server.schemas.get(path)
        status = self.server.status if text is not None or self.server.status != 200 else 404
        said = {"schema": text} if status == 200 else {"error_code": status, "message": "no"}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is said on stderr."""


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    server = StandIn(HELD)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def refs(*texts: str) -> list[SchemaRef]:
    return [SchemaRef.parse(text) for text in texts]


def codes(found: Mapping[SchemaRef, Resolved | Missing]) -> dict[str, str]:
    return {str(ref): each.code for ref, each in found.items() if isinstance(each, Missing)}


def test_ids_and_guids_are_asked_of_the_registry_once_each(stand_in: StandIn) -> None:
    known, by_guid, unknown = refs("confluent:7", f"guid:{GUID}", "confluent:8")
    found = SchemaSource(stand_in.config).resolve([known, known, by_guid, unknown])
    assert found[known] == found[by_guid] == Resolved(OWN, answered=True)
    assert codes(found) == {"confluent:8": defects.UNKNOWN_SCHEMA}
    assert sorted(stand_in.asked) == sorted([*HELD, "/schemas/ids/8"])


def test_what_is_kept_is_not_asked_again(stand_in: StandIn) -> None:
    (known,) = refs("confluent:7")
    found = SchemaSource(stand_in.config, {known: OWN}).resolve([known])
    assert found == {known: Resolved(OWN)}
    assert stand_in.asked == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_in_trouble_leaves_unknown_ids_unavailable(
    stand_in: StandIn, status: int
) -> None:
    stand_in.status = status
    kept, other, third = refs("confluent:7", "confluent:8", f"guid:{GUID}")
    found = SchemaSource(stand_in.config, {kept: OWN}).resolve([kept, other, third])
    assert found[kept] == Resolved(OWN)
    assert set(codes(found).values()) == {defects.SCHEMA_UNAVAILABLE}
    assert len(set(stand_in.asked)) == 1, "a registry that is down is not asked for each id"


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_refuses_us_stops_the_run(stand_in: StandIn, status: int) -> None:
    stand_in.status = status
    with pytest.raises(Unavailable, match=str(stand_in.server_port)):
        SchemaSource(stand_in.config).resolve(refs("confluent:7"))


def test_a_registry_that_is_not_there_leaves_known_ids_alone(stand_in: StandIn) -> None:
    config = RegistryConfig(url="http://127.0.0.1:1")
    kept, other = refs("confluent:7", "confluent:8")
    found = SchemaSource(config, {kept: OWN}).resolve([kept, other])
    assert found[kept] == Resolved(OWN)
    assert codes(found) == {"confluent:8": defects.SCHEMA_UNAVAILABLE}


def test_a_schema_beyond_the_limits_is_refused_with_the_reason(stand_in: StandIn) -> None:
    found = SchemaSource(stand_in.config, limits=LimitsConfig(schema_bytes=10)).resolve(
        refs("confluent:7")
    )
    (refused,) = found.values()
    assert isinstance(refused, Missing)
    assert refused.code == defects.SCHEMA_REFUSED
    assert "limits.schema_bytes is 10" in refused.why


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://user:word@host:8081/", "http://host:8081"),
        ("https://a, https://u@b/x", "https://a,https://b/x"),
        (None, ""),
    ],
)
def test_what_is_kept_names_the_registry_and_no_secret(url: str | None, name: str) -> None:
    assert RegistryConfig(url=url).name == name
