"""What a replay selects is said once, in one form."""

from __future__ import annotations

import pytest

from processor.errors import ConfigError
from processor.stages.selection import Selection, Span


def test_a_range_is_read_as_it_is_written() -> None:
    assert Span.parse("bfp.in-put_1/3/10-20") == Span("bfp.in-put_1", 3, 10, 20)


@pytest.mark.parametrize("text", ["t/0/5-5", "t/0/6-5", "t/0/5", "t/x/1-2", "0/1-2", "t/0/-1-2"])
def test_anything_else_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"START-END"):
        Span.parse(text)


def test_the_same_selection_has_the_same_text_and_comes_back() -> None:
    spans = [Span("t", 1, 0, 5), Span("a", 0, 2, 3)]
    one = Selection.of(["b", "a", "b"], spans)
    other = Selection.of(["a", "b"], reversed(spans))
    assert one.text == other.text
    assert one.text == '{"codes":["a","b"],"ranges":[["a",0,2,3],["t",1,0,5]]}'
    assert Selection.parse(one.text) == one
    assert Selection.parse(Selection().text) == Selection()
