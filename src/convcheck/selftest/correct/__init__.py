"""Correct engines of odd construction, none of which may be accused."""

from __future__ import annotations

from convcheck.engines.base import Engine
from convcheck.selftest.correct import backwards, layers, libraries, modes, orders, shapes, transforms, transposed

__all__ = ["CORRECT"]

CORRECT: tuple[Engine, ...] = (
    *orders.ENGINES,
    *shapes.ENGINES,
    *transforms.ENGINES,
    *libraries.ENGINES,
    *modes.ENGINES,
    *transposed.ENGINES,
    *backwards.ENGINES,
    *layers.ENGINES,
)
