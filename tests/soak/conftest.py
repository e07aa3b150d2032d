"""The worlds of the end-to-end tests, for those that take long."""

from __future__ import annotations

from tests.e2e.conftest import undisturbed, world

__all__ = ["undisturbed", "world"]
