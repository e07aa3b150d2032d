"""What the documents show exists: commands and their options, links, targets, keys."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from processor.cli import bfp
from processor.config import Config, load

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md")],
    key=lambda page: page.relative_to(ROOT).as_posix(),
)
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TARGETS = set(
    re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def shown(page: Path) -> list[list[str]]:
    """Every command line that a page shows, in blocks or between backticks."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line
        for kind, block in BLOCK.findall(text)
        if kind in ("sh", "")
        for line in block.splitlines()
    ]
    lines += re.findall(r"`((?:bfp|make) [^`<]+)`", BLOCK.sub("", text))
    words = [
        shlex.split(line, comments=True) for line in lines if re.search(r"\b(bfp|make) ", line)
    ]
    return [each for each in words if each]


def parsed(words: list[str]) -> None:
    """Refuses, as the command line would, what it does not know; runs nothing."""
    command: click.Command = bfp
    context = click.Context(bfp)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, words
        command, rest = found, rest[1:]
    for word in rest:
        if word.startswith("--"):
            known = {option for each in command.params for option in each.opts}
            assert word.split("=")[0] in {*known, "--help"}, words


@pages
def test_commands_and_targets_exist(page: Path) -> None:
    for words in shown(page):
        for place, word in enumerate(words):
            if Path(word).name == "bfp" and place + 1 < len(words):
                parsed(words[place + 1 :])
            if word == "make" and place == 0:
                assert words[1] in TARGETS, words


def test_the_readme_shows_the_commands_that_people_start_with() -> None:
    readme = [words[:2] for words in shown(ROOT / "README.md")]
    for wanted in (["make", "demo"], ["make", "test"], ["bfp", "run"], ["bfp", "status"]):
        assert wanted in readme


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links: small letters, dashes, no other marks."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    words = (re.sub(r"[^\w\- ]", "", found.lower()) for found in HEADING.findall(text))
    return {each.replace(" ", "-") for each in words}


@pages
def test_links_lead_to_files_and_to_headings(page: Path) -> None:
    for link, heading in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not heading or heading in anchors(target), f"{link}#{heading}"


@pages
def test_python_that_is_shown_is_python(page: Path) -> None:
    for kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            ast.parse(block)


def test_keys_that_are_shown_are_keys() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    keys = re.findall(r"--set ([a-z_.]+)=", text)
    keys += [name.lower().replace("__", ".") for name in re.findall(r"BFP__([A-Z_]+)=", text)]
    assert keys
    for key in keys:
        value: object = load(None)
        for part in key.split("."):
            assert isinstance(value, Config) or hasattr(value, part), key
            value = getattr(value, part)
