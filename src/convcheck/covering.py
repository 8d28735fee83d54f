"""Rows of classes that cover every pair, or every triple, of classes that can occur together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import combinations
from random import Random

from allpairspy import AllPairs

from convcheck.space import impossible

__all__ = ["combinations_of", "possible_combinations", "reached", "rows"]

Row = Mapping[str, str]
Table = tuple[tuple[str, tuple[str, ...]], ...]
Combination = tuple[tuple[str, str], ...]


@cache
def rows(table: Table, strength: int) -> tuple[Row, ...]:
    """Rows that cover all combinations of ``strength`` (2 or 3) classes; ``table`` pairs parameters with classes.

    A library gives most pairs in few rows. What its exclusions cost it, and triples, are completed here, one uncovered
    combination at a time in a random row: more rows than the best covering array, in a hundredth of the time.
    """
    found = list(_pairs(table))
    left = dict.fromkeys(possible_combinations(table, strength))
    for row in found:
        _cross_off(left, row, strength)
    generator = Random(len(left))  # noqa: S311 - no secret hangs on it
    while left:
        wanted = next(iter(left))
        completed = _complete(dict(wanted), table, generator)
        left.pop(wanted, None)
        if completed:
            found.append(completed)
            _cross_off(left, completed, strength)
    return tuple(found)


def _pairs(table: Table) -> Iterable[Row]:
    names, free = [name for name, _ in table], [(name, classes) for name, classes in table if len(classes) > 1]
    fixed = {name: classes[0] for name, classes in table if len(classes) == 1}
    if len(free) < 2:
        options = free[0][1] if free else (None,)
        return [{n: fixed.get(n) or str(option) for n in names} for option in options]
    keys = [name for name, _ in free]

    def allowed(values: list[str]) -> bool:
        return not impossible(fixed | dict(zip(keys, values, strict=False)))

    return [fixed | dict(zip(keys, row, strict=True)) for row in AllPairs([c for _, c in free], filter_func=allowed)]


def _complete(row: dict[str, str], table: Table, generator: Random) -> Row | None:
    """Fill in the other parameters at random, each by a class that what is already there does not exclude."""
    for name, classes in table:
        if name not in row:
            fitting = [c for c in classes if not impossible(row | {name: c})]
            if not fitting:
                return None
            row[name] = fitting[int(generator.random() * len(fitting))]
    return row


def _cross_off(left: dict[Combination, None], row: Row, strength: int) -> None:
    for combination in combinations_of(row, strength):
        left.pop(combination, None)


def combinations_of(row: Row, strength: int) -> Iterable[Combination]:
    """All combinations of ``strength`` (parameter, class) pairs of a row, parameters in alphabetical order."""
    return combinations(sorted(row.items()), strength)


def reached(met: Iterable[tuple[str, ...]], names: tuple[str, ...], table: Table, strength: int) -> tuple[int, int]:
    """How many combinations of classes occur in what was met, of how many that can; ``names`` are its parameters."""
    possible = set(possible_combinations(table, strength))
    columns = sorted(zip(names, zip(*met, strict=True), strict=False))
    seen = {
        tuple(zip((name for name, _ in some), classes, strict=True))
        for some in combinations(columns, strength)
        for classes in set(zip(*(column for _, column in some), strict=True))
    }
    return len(seen & possible), len(possible)


def possible_combinations(table: Table, strength: int) -> Iterable[Combination]:
    """All combinations of classes that exclude neither each other nor every class of another parameter."""
    pairs = sorted((name, c) for name, classes in table for c in classes if _fits(name, c, table))
    for combination in combinations(pairs, strength):
        if len({name for name, _ in combination}) == strength and not impossible(dict(combination)):
            yield combination


def _fits(name: str, one: str, table: Table) -> bool:
    """Whether every other parameter has a class that goes with this one."""
    others = [(other, classes) for other, classes in table if other != name]
    return all(any(not impossible({name: one, other: c}) for c in classes) for other, classes in others)
