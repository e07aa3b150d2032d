"""The datasets of loops, ready to be built: from a loop file, or from what a version kept of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from processor.checked import checked
from processor.config import Config
from processor.datasets import formats, sampling, supervised
from processor.datasets.chain import chain
from processor.datasets.formats.base import Format
from processor.datasets.sampling.base import Policy
from processor.errors import ConfigError
from processor.feedback.question import question_of
from processor.loops import DatasetConfig, LoopConfig
from processor.plugins import Registry
from processor.stages.soft_labels import check

POLICIES: Registry[Policy] = Registry(sampling, "sampling policy")
FORMATS: Registry[Format] = Registry(formats, "dataset format")
_DECISIVE = {"loop", "model", "task", "outcome"}
"""What a version follows from, of its loop, beside its own section of `datasets`."""


class Source(NamedTuple):
    """One dataset of one loop, ready to be built."""

    loop: LoopConfig
    recipe: supervised.Recipe
    formats: tuple[Format, ...]


def recipes(config: Config) -> list[Source]:
    """Every dataset of every loop.

    Raises:
        ConfigError: a policy, key or format is not known, or two datasets have one name.
    """
    named = Counter(each.name for loop in config.loop.values() for each in loop.datasets)
    if twice := [name for name, times in named.items() if times > 1]:
        raise ConfigError(
            f"two datasets are called {twice[0]!r}: their versions would be taken for one's",
            remedy="give each a name of its own",
        )
    return [
        _source(loop, number)
        for loop in config.loop.values()
        for number in range(len(loop.datasets))
    ]


def kept(source: Source) -> dict[str, Any]:
    """What a version's manifest keeps of its loop file: enough to build the version again."""
    return {
        "loop": source.loop.model_dump(
            mode="json", by_alias=True, exclude_unset=True, include=_DECISIVE
        ),
        "dataset": source.recipe.config.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }


def again(told: Mapping[str, Any], where: str) -> Source:
    """The source that `kept` wrote; raises ConfigError if this code does not know its keys."""
    raw = {**told["loop"], "datasets": [told["dataset"]]}
    return _source(checked(LoopConfig, raw, where), 0)


def _source(loop: LoopConfig, number: int) -> Source:
    dataset = loop.datasets[number]
    check(loop, dataset)
    _check_late(loop, dataset)
    where = f"the loop {loop.loop!r}, datasets.{number}.sampling"
    recipe = supervised.Recipe(dataset, chain(dataset.sampling, POLICIES, where))
    return Source(loop, recipe, tuple(FORMATS[name] for name in dataset.formats))


def _check_late(loop: LoopConfig, dataset: DatasetConfig) -> None:
    """Raises ConfigError where what came late cannot be held against what was known alone."""
    if not dataset.uses_late:
        return
    question = question_of(loop, loop.outcome)
    why = None
    if question.level.shared:
        why = "an answer that several share is divided among those that were known in time"
    if question.rule.poll is not None:
        why = "votes are weighed with those on time alone"
    if why is not None:
        raise ConfigError(
            f"the dataset {dataset.name}: {why}, so none that came late is a label",
            remedy="leave `late` out",
        )
