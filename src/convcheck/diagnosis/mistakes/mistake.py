"""What a mistake is: words, and a pure edit of the model of a call that predicts what a target returns instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from convcheck.diagnosis.evidence import Observation
from convcheck.diagnosis.model import Model
from convcheck.problem import Map

__all__ = ["WIDTHS", "Family", "Mistake", "Scope", "along", "subsets"]


#: widths of vectors and of tiles, whose remainders get lost
WIDTHS = (2, 3, 4, 6, 8, 16, 32, 64)


class Mistake(NamedTuple):
    """One hypothesis. ``edit`` returns None where it says nothing; ``common`` ones are also tried in pairs."""

    words: str
    edit: Callable[[Model], Model | None]
    common: bool = False


class Scope(NamedTuple):
    """For what mistakes are listed: a map, a number of axes, a convention, and the wrong results, simplest first.

    ``own`` says that the map is the target's own call, which for a transposed convolution is that of a gradient.
    """

    which: Map
    ndim: int
    convention: str
    failing: Sequence[Observation]
    own: bool = True


#: mistakes of one kind, in the order in which they are preferred
Family = Callable[[Scope], Iterator[Mistake]]


def subsets(ndim: int) -> list[tuple[int, ...]]:
    """Sets of axes: all of them first, then single ones, then the rest."""
    some = [s for size in range(1, ndim) for s in combinations(range(ndim), size)]
    return [tuple(range(ndim)), *some]


def along(words: str, axes: tuple[int, ...], ndim: int) -> str:
    """Words, and the axes that they are said of, unless it is all."""
    if len(axes) == ndim:
        return words
    return f"{words} along {'axis' if len(axes) == 1 else 'axes'} {' and '.join(map(str, axes))}"
