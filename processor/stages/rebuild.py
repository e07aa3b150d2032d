"""A dataset version made again from the tables as of its batch, and compared byte for byte."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import SparkSession

from processor.config import Config
from processor.datasets.difference import of_files
from processor.datasets.store import Store
from processor.errors import ConfigError
from processor.stages import catalog
from processor.stages.base import Context
from processor.stages.choices import choose
from processor.stages.making import laid_out, make, store_of
from processor.stages.pipeline import stored_batch
from processor.stages.recipes import Source, recipes
from processor.version import code_version
from processor.warehouse import Warehouse

FOLDER = "rebuilds"
_SHOWN = 12  # hex digits of a hash


class Rebuilt(NamedTuple):
    """How many files were compared, what differs, and where the files are, if something does.

    `code` is that of this rebuild, `built_by` that of the version.
    """

    version: str
    built_by: str
    code: str
    files: int
    differences: tuple[str, ...]
    place: str | None


def rebuild(
    config: Config,
    start_spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    name: str,
    *,
    as_built: bool = False,
) -> Rebuilt:
    """Makes the version called `DATASET/VERSION` again, beside it; no table is written.

    `as_built`: by the recipe that its manifest keeps, whatever the loop file says now.

    Raises:
        ConfigError: there is no such version, or it was built with another configuration.
    """
    warehouse = Warehouse(config.warehouse)
    row = catalog.version(warehouse, name)
    source = catalog.source_of(warehouse, row) if as_built else _configured(config, row, name)
    context = Context(config, warehouse, f"rebuild-{uuid.uuid4()}", start_spark, say)
    mark = f"{name.replace('/', '-')}-{uuid.uuid4().hex[:_SHOWN]}"
    aside = Store(warehouse.uri(FOLDER, mark))
    code = (row["code_version"], code_version())
    if why := _made(context, row, source, aside):
        return Rebuilt(name, *code, 0, (f"it would not be made: {why}",), None)
    first = store_of(warehouse, row["dataset"], row["version"])
    found = tuple(of_files(first, aside))
    files = len(aside.digests())
    if not found:
        aside.remove()
    return Rebuilt(name, *code, files, found, aside.uri if found else None)


def _configured(config: Config, row: catalog.Row, name: str) -> Source:
    """The dataset as it is configured, if nothing that decides was changed since."""
    if config.hash != row["config_hash"]:
        then, now = row["config_hash"][:_SHOWN], config.hash[:_SHOWN]
        raise ConfigError(
            f"{name} was built with the configuration {then}, this one is {now}",
            remedy="give the one of that time with --config, or take the recipe that the "
            "version's manifest keeps with --as-built",
        )
    (found,) = (
        each
        for each in recipes(config)
        if (each.loop.loop, each.recipe.config.name) == (row["loop"], row["dataset"])
    )
    return found


def _made(context: Context, row: catalog.Row, source: Source, aside: Store) -> str | None:
    """Writes the files; or says why no version would be made."""
    batch = stored_batch(context.warehouse, row["batch_id"])
    choice = choose(context, batch, source.loop, source.recipe)
    try:
        if not choice.kept or choice.refusal:
            return choice.refusal or "no outcome can become a row"
        version = laid_out(context, batch, source, choice)
        try:
            if version.laid.refusals:
                return next(iter(version.laid.refusals.values()))
            make(context, batch, version, aside)
        finally:
            version.release()
    finally:
        choice.release()
    return None
