"""Rows of classes that cover every pair, or every triple, of classes that can occur together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations
from random import Random
from typing import Any, Self

import numpy as np

from convcheck.space import impossible

__all__ = ["combinations_of", "possible_combinations", "reached", "rows"]

Combination = tuple[tuple[str, str], ...]
Row = Mapping[str, str]
Table = tuple[tuple[str, tuple[str, ...]], ...]
Item = tuple[str, str]
#: orders in which the parameters of a row are filled in, at most: in some, nothing goes with what came before
TRIES = 20
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@cache
def rows(table: Table, strength: int) -> tuple[Row, ...]:
    """Rows that cover all combinations of ``strength`` (2 or 3) classes; ``table`` pairs parameters with classes.

    A combination that is in no row yet begins one; then every other parameter, in random order, takes the class that
    is in most such combinations with the row so far (Cohen, Dalal, Fredman and Patton, "The AETG System", IEEE
    Transactions on Software Engineering 23(7), 1997).
    """
    numbered = _Numbered.table(table)
    possible = numbered.possible(strength)
    left = np.any([possible.transpose(order) for order in permutations(range(strength))], axis=0)
    generator = Random(int(possible.sum()))  # noqa: S311 - no secret hangs on it
    found = []
    for wanted in np.argwhere(possible).tolist():
        if left[tuple(wanted)] and (row := _completed(numbered, wanted, left, generator)):
            found.append(row)
            left[np.ix_(*[row] * strength)] = False
    return tuple({numbered.items[i][0]: numbered.items[i][1] for i in sorted(row)} for row in found)


@dataclass(frozen=True)
class _Numbered:
    """The classes of a table, numbered in alphabetical order of (parameter, class); a row has one of each parameter.

    ``choices`` are the classes of each parameter, in the table's order; ``apart`` are, for each class, those that
    cannot occur with it.
    """

    items: tuple[Item, ...]
    choices: tuple[tuple[int, ...], ...]
    apart: tuple[frozenset[int], ...]

    @classmethod
    def table(cls, table: Table) -> Self:
        """Number the classes of a table."""
        items = tuple(sorted((name, one) for name, classes in table for one in classes))
        number = {item: i for i, item in enumerate(items)}
        choices = tuple(tuple(number[name, one] for one in classes) for name, classes in table)
        apart = tuple(frozenset(i for i, other in enumerate(items) if _exclude(one, other)) for one in items)
        return cls(items, choices, apart)

    def fitting(self, choices: Iterable[int], row: Iterable[int]) -> list[int]:
        """Return the choices that go with what is in a row."""
        return [choice for choice in choices if self.apart[choice].isdisjoint(row)]

    def possible(self, strength: int) -> Flags:
        """Whether classes i < j (< k) exclude neither each other nor every class of another parameter."""
        every = range(len(self.items))
        fits = [all(self.fitting(others, [i]) for others in self.choices if i not in others) for i in every]
        pairs = np.triu(np.outer(fits, fits), 1)
        for one, excluded in enumerate(self.apart):
            pairs[one, list(excluded)] = False
        return pairs if strength == 2 else pairs[:, :, None] & pairs[:, None, :] & pairs[None, :, :]


@cache
def _exclude(one: Item, other: Item) -> bool:
    return one[0] == other[0] or impossible(dict((one, other)))


def _completed(numbered: _Numbered, wanted: list[int], left: Flags, generator: Random) -> list[int]:
    """Fill in the other parameters of a row; empty where that cannot be done."""
    others = [choices for choices in numbered.choices if not any(choice in wanted for choice in choices)]
    for _ in range(TRIES):
        row = list(wanted)
        generator.shuffle(others)
        for choices in others:
            fitting = numbered.fitting(choices, row)
            if not fitting:
                break
            gains = left[np.ix_(fitting, *[row] * (left.ndim - 1))].reshape(len(fitting), -1).sum(axis=1)
            best = np.flatnonzero(gains == gains.max())
            row.append(fitting[best[int(generator.random() * len(best))]])
        else:
            return row
    return []


def combinations_of(row: Row, strength: int) -> Iterable[Combination]:
    """All combinations of ``strength`` (parameter, class) pairs of a row, parameters in alphabetical order."""
    return combinations(sorted(row.items()), strength)


def possible_combinations(table: Table, strength: int) -> Iterator[Combination]:
    """All combinations of classes that exclude neither each other nor every class of another parameter."""
    numbered = _Numbered.table(table)
    for found in np.argwhere(numbered.possible(strength)).tolist():
        yield tuple(numbered.items[i] for i in found)


def reached(met: Iterable[Sequence[str]], names: Sequence[str], table: Table, strength: int) -> tuple[int, int]:
    """How many combinations of classes occur in what was met, of how many that can; ``names`` are its parameters."""
    numbered = _Numbered.table(table)
    possible = numbered.possible(strength)
    number = {item: i for i, item in enumerate(numbered.items)}
    others = len(number)  # classes that are not in the table
    found = np.array([[number.get(item, others) for item in zip(names, row, strict=True)] for row in met], int)
    columns = sorted(range(len(names)), key=names.__getitem__)
    seen = np.zeros((others + 1,) * strength, bool)
    for some in combinations(columns, strength):
        seen[tuple(found.reshape(-1, len(names))[:, column] for column in some)] = True
    return int((seen[(slice(others),) * strength] & possible).sum()), int(possible.sum())
