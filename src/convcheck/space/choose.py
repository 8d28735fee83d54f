"""Who makes the choices inside a class."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

__all__ = ["Chooser", "seeded"]

T = TypeVar("T")


class Chooser(Protocol):
    """Makes the choices inside a class: a seeded generator in a sweep, Hypothesis in a search."""

    def pick(self, options: Sequence[T]) -> T:
        """Choose one of the options, the first being the simplest."""

    def integer(self, low: int, high: int) -> int:
        """Choose an integer in low..high, low being the simplest."""


def seeded(seed: int | str) -> Chooser:
    """Return a chooser that draws from a seeded generator; `random.Random` keeps its stream between Pythons."""
    generator = Random(seed)  # noqa: S311 - no secret hangs on it

    class Seeded:
        def pick(self, options: Sequence[T]) -> T:
            return options[int(generator.random() * len(options))]

        def integer(self, low: int, high: int) -> int:
            return low + int(generator.random() * (high - low + 1))

    return Seeded()
