"""Writer schemas that the warehouse keeps: what a registry has said once is not asked again.

A row of `schemas` names a schema as messages do, `confluent:12`, or as an outgoing topic has it
registered, `<topic>-value:12`. Rows of another registry are never looked at: its ids are others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from processor.avro import defects
from processor.avro.encode import by_fingerprint, by_id
from processor.avro.framing import CONFLUENT, SchemaRef
from processor.avro.source import Found, Missing, Resolved, SchemaSource
from processor.batches import Batch
from processor.stages.base import Context
from processor.tables import SCHEMAS

Schemas = Mapping[SchemaRef, Found]


def kept(context: Context) -> dict[SchemaRef, str]:
    """Everything that the configured registry has said, to any batch: an id never changes."""
    rows = context.warehouse.rows(
        SCHEMAS, where=[("registry", "=", context.config.registry.name)]
    ).to_pylist()
    return {SchemaRef.parse(row["schema_ref"]): row["text"] for row in rows}


def resolved(context: Context, batch: Batch, refs: Iterable[SchemaRef]) -> Schemas:
    """The schema of every reference; what the registry answers is kept before it is used."""
    config = context.config
    found = SchemaSource(config.registry, kept(context), config.limits).resolve(refs)
    answers = {
        ref: each.text
        for ref, each in found.items()
        if isinstance(each, Resolved) and each.answered
    }
    _keep(context, batch, answers)
    silent = [str(ref) for ref, each in found.items() if unavailable(each)]
    if silent:
        context.say(
            f"the schema registry {config.registry.name} does not answer: records of"
            f" {', '.join(silent)} have the defect {defects.SCHEMA_UNAVAILABLE};"
            " `bfp replay` decodes them once it is there"
        )
    return found


def unavailable(found: Found) -> bool:
    """Whether a schema is missing only because the registry does not answer."""
    return isinstance(found, Missing) and found.code == defects.SCHEMA_UNAVAILABLE


def references(context: Context, batch: Batch, texts: Mapping[str, str]) -> dict[str, bytes]:
    """What stands before the body of an event, by topic to publish to; `texts` are their schemas.

    Raises:
        Unavailable: the id of one is not kept, and the registry does not answer.
    """
    if not context.config.registry.url:
        return {topic: by_fingerprint(text) for topic, text in texts.items()}
    known = {(ref.framing, text): int(ref.key) for ref, text in _numbered(context)}
    found: dict[str, bytes] = {}
    for topic, text in sorted(texts.items()):
        number = known.get((_subject(topic), text))
        if number is None:
            from processor.avro.registry import schema_id  # noqa: PLC0415  # slow to import, and seldom asked

            number = schema_id(context.config.registry, topic, text)
            named = (SchemaRef(by, str(number)) for by in (_subject(topic), CONFLUENT))
            _keep(context, batch, dict.fromkeys(named, text))
        found[topic] = by_id(number)
    return found


def _numbered(context: Context) -> Iterable[tuple[SchemaRef, str]]:
    return ((ref, text) for ref, text in kept(context).items() if ref.key.isdigit())


def _subject(topic: str) -> str:
    return f"{topic}-value"


def _keep(context: Context, batch: Batch, answers: Mapping[SchemaRef, str]) -> None:
    """Appends what the registry said; a row that is there twice says the same."""
    registry = context.config.registry.name
    rows = [
        {"batch_id": batch.id, "registry": registry, "schema_ref": str(ref), "text": text}
        for ref, text in answers.items()
    ]
    if rows:
        context.warehouse.append(SCHEMAS, rows)
