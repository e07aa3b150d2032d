"""The page shows the whole document, escaped, usable without seeing it, from no other place."""

from __future__ import annotations

import re
from datetime import datetime
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any, cast

from processor.loops import LoopConfig
from processor.report.document import document
from processor.report.page import page

Tables = dict[str, list[dict[str, Any]]]
SCRIPT = "<script>alert('x')</script>"


class Reader(HTMLParser):
    """What a browser would be told: tags that close, ids, links, text."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value or "" for _, attribute, value in self.attributes if attribute == name]


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def shown(value: object, key: str) -> str | None:
    """How a value of the document appears on the page; None where it is not meant to."""
    hidden = {"format", "run_id", "manifest_uri", "seed", "created_at", "sha256", "batch"}
    if value is None or key in hidden or isinstance(value, bool):
        return None
    if key.endswith(("_at", "_start", "_end", "_until", "mark")):
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M} UTC"
    if key.endswith("seconds"):
        return f"{value:,.1f} s"
    if key == "bytes":
        return f"{cast('int', value) / 1e6:,.1f} MB"
    if key == "share":
        return f"{100 * cast('float', value):.1f}%"
    if key in {"p", "q", "p_value", "q_value"}:
        return "<0.001" if cast("float", value) < 0.001 else f"{value:.3f}"
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def leaves(value: object, key: str = "") -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in leaves(each, name)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each, key)]
    return [(key, value)]


def test_every_value_of_the_document_is_on_the_page(told: dict[str, Any]) -> None:
    made = told
    for row in made["loops"][0]["standings"]:  # answers that came amiss are counts, of no whole
        row["late"], row["outside"] = ({"n": row[name]["n"]} for name in ("late", "outside"))
    text = "".join(read(page(made)).text)
    headings = {
        "drift.chi_square": "chi square",
        "log_loss": "Log loss",
        "SUPERVISED": "supervised",
    }
    for key, value in leaves(made):
        # an offset is a name, to be copied as it is
        wanted = str(value) if key == "offset" else shown(value, key)
        if wanted is None or key in {"metric", "kind", "about"}:
            wanted = headings.get(str(value), "")
        assert wanted in text, (key, value)


def test_the_page_asks_nothing_of_any_other_place(told: dict[str, Any]) -> None:
    html = page(told)
    reader = read(html)
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(reader.tags)
    assert all(link.startswith("#") for link in reader.values("href"))
    assert reader.values("src") == []
    assert not re.search(r"https?://|@import|url\((?!#)", html)


def test_every_row_has_a_cell_for_each_heading(told: dict[str, Any]) -> None:
    tables = re.findall(r"<table>.*?</table>", page(told), re.DOTALL)
    assert len(tables) > 5
    for table in tables:
        caption = re.search(r"<caption>(.*?)</caption>", table)
        head, *rows = re.findall(r"<tr[ >].*?</tr>", table, re.DOTALL)
        assert rows, caption
        for row in rows:
            assert len(re.findall("<t[hd][ >]", row)) == head.count("<th "), caption


def test_the_page_can_be_used_without_seeing_it(told: dict[str, Any]) -> None:
    reader = read(page(told))
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in reader.values("href")} <= set(ids)
    assert reader.tags.count("caption") == reader.tags.count("table") > 5
    drawings = [(name, value) for tag, name, value in reader.attributes if tag == "svg"]
    labels = [value for name, value in drawings if name == "aria-label"]
    assert len(labels) == reader.tags.count("svg") == reader.tags.count("figure") > 5
    assert all(labels)
    levels = [int(tag[1]) for tag in reader.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_what_data_say_is_escaped(tables: Tables, loop: LoopConfig) -> None:
    for row in tables["measurements"]:
        row["feature"] = row["feature"] and f"{row['feature']}{SCRIPT}"
    for row in tables["decisions"]:
        row["reason"] = SCRIPT
    html = page(document(tables, 3, [loop]))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 10
    assert SCRIPT in "".join(read(html).text)


def test_insufficient_is_a_word_with_its_reason(told: dict[str, Any]) -> None:
    html = page(told)
    assert re.search(r"INSUFFICIENT</span>\s*<span class=\"why\">12 rows, fewer than 30", html)
    assert re.search(r"INSUFFICIENT</span>\s*<span class=\"why\">the batch has 7 values", html)


def test_an_empty_first_batch_makes_a_page(tables: Tables, loop: LoopConfig) -> None:
    nothing: Tables = {name: [] for name in tables}
    nothing["batches"] = tables["batches"][1:2]
    assert "0 offsets planned" in page(document(nothing, 1, [loop]))
