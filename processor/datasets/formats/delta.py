"""delta: a Delta table of one commit, partitioned by `split`; a null is a null.

The files are those of `parquet`, and the commit is written as text, so that both repeat byte for
byte (docs/adr/0011). The protocol: delta-io/delta, PROTOCOL.md, reader 1, writer 2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from processor.datasets.formats import parquet
from processor.datasets.formats.base import Format
from processor.datasets.manifest import File, content_sha256

COMMIT = f"_delta_log/{0:020d}.json"
_SPLIT = {"name": "split", "type": "string", "nullable": True, "metadata": {}}


def index(files: Sequence[File], schema_json: str) -> Mapping[str, str]:
    """The commit that makes the files a table; it names no time, and an id that follows from them.

    Readers that ask when a file was changed are told 1970.
    """
    schema = json.loads(schema_json)
    fields = [*schema["fields"], _SPLIT]
    table = {
        "id": str(uuid5(NAMESPACE_URL, content_sha256(files, schema_json))),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({**schema, "fields": fields}),
        "partitionColumns": ["split"],
        "configuration": {"delta.appendOnly": "true"},
    }
    actions: list[Mapping[str, Any]] = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": table},
        *({"add": _added(file)} for file in files),
    ]
    return {COMMIT: "".join(json.dumps(action) + "\n" for action in actions)}


def _added(file: File) -> dict[str, Any]:
    return {
        "path": file.path,
        "partitionValues": {"split": file.split},
        "size": file.bytes,
        "modificationTime": 0,
        "dataChange": True,
        "stats": json.dumps({"numRecords": file.rows}),
    }


ENTRY = Format("delta", parquet.ENTRY.suffix, parquet.write, parquet.count, index)
