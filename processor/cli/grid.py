"""Tables for people, of which nothing is lost: also where there is no terminal, but 80 columns."""

from __future__ import annotations

from rich.table import Column, Table


def grid(*headers: str) -> Table:
    """A table that cuts nothing off: what a column has no room for goes on below."""
    return Table(*(Column(header, overflow="fold") for header in headers))
