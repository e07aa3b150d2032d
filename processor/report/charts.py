"""Charts as SVG markup: no colour says what a shape, a pattern or a word does not say too. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from processor.report.svg import Scale, drawing, element, labels, scale, thinned
from processor.report.words import decimal, number, share

WIDTH = 400.0
_ROW, _LEFT, _RIGHT, _TOP = 24.0, 52.0, 14.0, 10.0
_LABELS = 132.0  # room for the names of rows
_MOST_LETTERS = 19
_MOST_BATCHES = 8  # labels on the axis of batches
_SHAPES, _PATTERNS = 4, 5
_ROOM_FOR_TEXT = 44.0
_BATCH_NAMES = 74.0  # room for the names of stacks
CROSS = "\u00d7"
"""Marks a batch whose data support no value."""


class Point(NamedTuple):
    """A value of one batch, with its interval; no value where the data support none."""

    batch: int
    value: float | None
    low: float | None = None
    high: float | None = None


class Series(NamedTuple):
    """The points of one name, in order of batches."""

    name: str
    points: Sequence[Point]


class Bar(NamedTuple):
    """A named value with the word that judges it; `low`, `high` where it has an interval."""

    name: str
    value: float | None
    word: str
    alarm: bool = False
    low: float | None = None
    high: float | None = None


class Stack(NamedTuple):
    """Named counts that make up a whole."""

    name: str
    parts: Sequence[tuple[str, int]]


def trend(series: Sequence[Series], label: str) -> str:
    """Values over batches with whiskers for their intervals; a cross where there is no value."""
    points = [point for each in series for point in each.points]
    batches = sorted({point.batch for point in points})
    said = [v for p in points for v in (p.value, p.low, p.high) if v is not None]
    legend = 20.0 if len(series) > 1 else 0.0
    height = 220.0 + legend
    bottom = height - 36
    y, y_ticks = scale(said, bottom, _TOP + legend)
    ends = (batches[0] - 0.5, batches[-1] + 0.5) if batches else (0.0, 1.0)
    x = Scale(*ends, _LEFT, WIDTH - _RIGHT)
    inner = [*_across(y, y_ticks), *_batches(x, batches, bottom)]
    for place, each in enumerate(series):
        shift = (place - (len(series) - 1) / 2) * 7
        inner.append(_line(each, x, y, shift, place % _SHAPES))
    return drawing(WIDTH, height, label, *inner, *(_legend(series) if legend else ()))


def _across(y: Scale, ticks: Sequence[float]) -> Iterator[str]:
    for each, said in zip(ticks, labels(ticks), strict=True):
        at = y(each)
        yield element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=at, y2=at, class_="grid")
        yield element("text", text=said, x=_LEFT - 8, y=at + 4, class_="end")


def _batches(x: Scale, batches: Sequence[int], bottom: float) -> Iterator[str]:
    for each in thinned(batches, _MOST_BATCHES):
        yield element("text", text=number(each), x=x(each), y=bottom + 17, class_="middle")
    yield element("text", text="batch", x=(x.start + x.end) / 2, y=bottom + 32, class_="middle")


def _line(series: Series, x: Scale, y: Scale, shift: float, shape: int) -> str:
    drawn: list[str] = []
    path: list[str] = []
    for point in series.points:
        at = x(point.batch) + shift
        if point.value is None:
            cross = element("text", text=CROSS, x=at, y=y.start - 3, class_="middle cross")
            drawn.append(cross)
            continue
        path.append(f"{at:.1f},{y(point.value):.1f}")
        drawn += [*_whisker(point, at, y), _mark(shape, at, y(point.value), _told(series, point))]
    line = element("polyline", points=" ".join(path), class_="line")
    return element("g", line, *drawn, class_=f"series s{shape}")


def _told(series: Series, point: Point) -> str:
    said = f"{series.name}, batch {point.batch}: {decimal(point.value)}"
    if point.low is None or point.high is None:
        return said
    return f"{said} ({decimal(point.low)} to {decimal(point.high)})"


def _whisker(point: Point, at: float, y: Scale) -> Iterator[str]:
    if point.low is not None and point.high is not None:
        low, high = y(point.low), y(point.high)
        yield element("path", d=f"M{at:.1f} {low:.1f}V{high:.1f}", class_="whisker")
        for end in (low, high):
            yield element("path", d=f"M{at - 3:.1f} {end:.1f}h6", class_="whisker")


def _mark(shape: int, x: float, y: float, told: str) -> str:
    paths = (
        "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
        "M-4-4h8v8h-8z",
        "M0-5l5 9h-10z",
        "M0-5l5 5-5 5-5-5z",
    )
    title = element("title", text=told)
    return element(
        "path", title, d=paths[shape], transform=f"translate({x:.1f} {y:.1f})", class_="mark"
    )


def _legend(series: Sequence[Series]) -> Iterator[str]:
    room = (WIDTH - _LEFT - _RIGHT) / len(series)
    for place, each in enumerate(series):
        at = _LEFT + place * room + 6
        mark = _mark(place % _SHAPES, at, _TOP, each.name)
        text = element("text", text=_short(each.name, int(room / 7)), x=at + 10, y=_TOP + 4)
        yield element("g", mark, text, class_=f"series s{place % _SHAPES}")


def _short(text: str, most: int = _MOST_LETTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def bars(rows: Sequence[Bar], label: str) -> str:
    """Lengths from zero, one row each; the word that judges a row stands beside its bar."""
    values = [0.0, *(row.value for row in rows if row.value is not None)]
    x, _ = scale(values, _LABELS, WIDTH - 112)
    inner: list[str] = []
    for place, row in enumerate(rows):
        top = _TOP + place * _ROW
        inner.append(_name(row.name, top))
        length = 0.0 if row.value is None else x(row.value) - x(0.0)
        kind = "bar alarm" if row.alarm else "bar"
        inner.append(
            element("rect", x=x(0.0), y=top + 4, width=max(length, 0.0), height=14.0, class_=kind)
        )
        said = f"{decimal(row.value)} {row.word}" if row.value is not None else row.word
        at = x(0.0) + max(length, 0.0) + 7
        inner.append(element("text", text=said, x=at, y=top + 15, class_=_strong(row)))
    return drawing(WIDTH, 2 * _TOP + len(rows) * _ROW, label, *inner)


def intervals(rows: Sequence[Bar], label: str, line: float | None = None) -> str:
    """A dot with its interval, one row each; `line` is the value that they are held against."""
    said = [v for row in rows for v in (row.value, row.low, row.high) if v is not None]
    x, ticks = scale([*said, *([line] if line is not None else [])], _LABELS, WIDTH - 20)
    bottom = _TOP + len(rows) * _ROW + 4
    inner: list[str] = []
    for each, text in zip(ticks, labels(ticks), strict=True):
        at = x(each)
        inner.append(element("line", x1=at, x2=at, y1=_TOP, y2=bottom, class_="grid"))
        inner.append(element("text", text=text, x=at, y=bottom + 15, class_="middle"))
    if line is not None:
        at = x(line)
        inner.append(element("line", x1=at, x2=at, y1=_TOP, y2=bottom, class_="held"))
    for place, row in enumerate(rows):
        inner += _dot(row, _TOP + place * _ROW, x)
    return drawing(WIDTH, bottom + 24, label, *inner)


def _dot(row: Bar, top: float, x: Scale) -> Iterator[str]:
    yield _name(row.name, top)
    middle = top + 11
    if row.value is None:
        yield element("text", text=row.word, x=_LABELS + 6, y=top + 15, class_="word")
        return
    if row.low is not None and row.high is not None:
        reach = f"M{x(row.low):.1f} {middle:.1f}H{x(row.high):.1f}"
        yield element("path", d=reach, class_="whisker wide")
    told = f"{row.name}: {decimal(row.value)} {row.word}".rstrip()
    kind = "series alarm" if row.alarm else "series s0"
    yield element("g", _mark(1 if row.alarm else 0, x(row.value), middle, told), class_=kind)


def _name(name: str, top: float) -> str:
    title = element("title", text=name)
    shown = element("tspan", text=_short(name))
    return element("text", title, shown, x=_LABELS - 10, y=top + 15, class_="end name")


def _strong(row: Bar) -> str:
    return "word strong" if row.alarm else "word"


def stacked(rows: Sequence[Stack], label: str, key: str) -> str:
    """Parts of a whole, one bar each, in patterns; `key` names the patterns and is used once."""
    inner = [element("defs", _hatch(key))]
    names = [name for name, _ in rows[0].parts] if rows else []
    room = WIDTH / max(len(names), 1)
    for place, name in enumerate(names):
        inner.append(_box(place * room, 2.0, 13.0, place, key))
        inner.append(element("text", text=name, x=place * room + 19, y=13.0))
    for place, row in enumerate(rows):
        inner += _stack(row, 30 + place * 28.0, key)
    return drawing(WIDTH, 34 + len(rows) * 28.0, label, *inner)


def _stack(row: Stack, top: float, key: str) -> Iterator[str]:
    left = _BATCH_NAMES
    yield element("text", text=row.name, x=left - 10, y=top + 15, class_="end")
    whole = sum(count for _, count in row.parts)
    for place, (name, count) in enumerate(row.parts):
        width = (WIDTH - _BATCH_NAMES) * count / whole if whole else 0.0
        if count:
            part = share(count / whole)
            title = element("title", text=f"{name}: {number(count)} ({part})")
            yield _box(left, top, 22.0, place, key, width, title)
            if width > _ROOM_FOR_TEXT:
                kind = f"middle in{place % _PATTERNS}"
                yield element("text", text=part, x=left + width / 2, y=top + 15, class_=kind)
        left += width


def _box(
    x: float, y: float, height: float, place: int, key: str, width: float = 13.0, inner: str = ""
) -> str:
    """A part in its colour and, over it, its pattern."""
    of = place % _PATTERNS
    plain = element("rect", inner, x=x, y=y, width=width, height=height, class_=f"part p{of}")
    if of == 0:
        return plain
    fill = f"url(#{key}-{of})"
    over = element("rect", x=x, y=y, width=width, height=height, fill=fill, class_="over")
    return plain + over


def _hatch(key: str) -> str:
    """The patterns of the second part and those after it; the first is plain."""
    strokes = ("M0 6L6 0", "M1 3h0.1", "M0 0L6 6M0 6L6 0", "M0 3H6")
    return "".join(
        element(
            "pattern",
            element("path", d=stroke, class_="hatch"),
            id=f"{key}-{place}",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        )
        for place, stroke in enumerate(strokes, 1)
    )
