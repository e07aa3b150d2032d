"""One definition, read two ways: of one event, and of many (docs/adr/0015)."""

from processor.terms.base import Formula, Terms, Value

__all__ = ["Formula", "Terms", "Value"]
