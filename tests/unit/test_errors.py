"""How a command ends is one table, and the docstring that people read is that table."""

from __future__ import annotations

import re

from processor import errors
from processor.errors import ProcessorError


def tree(root: type[ProcessorError] = ProcessorError) -> dict[str, type[ProcessorError]]:
    below = [tree(each) for each in root.__subclasses__() if each.__module__ == errors.__name__]
    return {root.__name__: root, **{name: kind for part in below for name, kind in part.items()}}


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = re.findall(r"^\W*(\w+) {2,}(\d+) ", errors.__doc__ or "", re.MULTILINE)
    assert {name: int(code) for name, code in drawn} == {
        name: kind.exit_code for name, kind in tree().items()
    }


def test_exit_codes_are_those_that_schedulers_were_told() -> None:
    assert {name: (kind.exit_code, kind.retryable) for name, kind in tree().items()} == {
        "ProcessorError": (70, False),
        "ConfigError": (2, False),
        "DataRefused": (3, False),
        "LossDetected": (4, False),
        "BatchHeld": (5, True),
        "Unavailable": (75, True),
        "Damaged": (75, True),
    }


def test_an_error_says_what_happened_and_what_to_do() -> None:
    for kind in tree().values():
        error = kind("it broke", remedy="mend it")
        assert str(error) == "it broke\n  remedy: mend it"
        assert (error.what, error.remedy) == ("it broke", "mend it")
