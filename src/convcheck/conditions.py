"""The smallest condition on problems under which something fails, read off what was judged.

A condition is a conjunction of predicates that hold on every failure. Among those, the one is taken that describes
the outcomes in the fewest bits: what its predicates cost to name, and what it takes to say which of the problems
that fulfil it fail. So a predicate is added only if it excludes more than it costs, and not to fit noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import log2, prod
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammaln

from convcheck.dtypes import DTYPES
from convcheck.problem import Problem

__all__ = ["smallest_condition"]

Array = np.ndarray[Any, Any]


def smallest_condition(outcomes: Sequence[tuple[Problem, bool]], fewest: int = 1) -> str:
    """Say under which condition problems fail, with counts; each outcome is (problem, whether it failed).

    For example ``fails whenever dilation > 1 and stride > 1 (23 of 23), never otherwise (0 of 177)``. Of fewer than
    ``fewest`` failures no condition is told: too many hold of all of them by chance.
    """
    failed = np.array([bad for _, bad in outcomes], bool)
    total, failures = len(failed), int(failed.sum())
    if failures in (0, total):
        return f"{'fails always' if failures else 'never fails'} ({failures} of {total})"
    if failures < fewest:
        return f"fails in {failures} of {total} cases, too few to tell a condition"
    passing = total - failures
    predicates = list(_holding(_columns([problem for problem, _ in outcomes]), failed))
    chosen = _best(predicates, failures, passing)
    excused = int(np.logical_and.reduce([p.passing for p in chosen]).sum()) if chosen else passing
    words = " and ".join(p.words for p in chosen)
    if not chosen:
        return f"fails in {failures} of {total} cases, under no condition that was looked for"
    if not excused:
        return f"fails whenever {words} ({failures} of {failures}), never otherwise (0 of {passing})"
    return f"fails in {failures} of {failures + excused} cases where {words}, in 0 of {passing - excused} others"


class _Predicate(NamedTuple):
    """What holds on every failure: words, bits that naming it costs, and on which passing problems it holds, too."""

    words: str
    cost: float
    passing: Array


class _Column(NamedTuple):
    """One feature of all problems; truth values, or numbers that are compared with thresholds and multiples."""

    words: str
    cost: float
    values: Array
    multiples: bool = False


def _holding(columns: Iterator[_Column], failed: Array) -> Iterator[_Predicate]:
    """Every predicate that holds on all failures and not on all other problems."""
    for column in columns:
        inside, outside = column.values[failed], column.values[~failed]
        if column.values.dtype == bool:
            if inside.all():
                yield _Predicate(column.words, column.cost, outside)
            continue
        # a number costs what it takes to pick it out of those that occur, but for 0 and 1
        number = 1 + log2(len(np.unique(column.values)))
        for words, plain, holds in _comparisons(column, inside, outside):
            yield _Predicate(words, column.cost + (0 if plain else number), holds)


def _comparisons(column: _Column, inside: Array, outside: Array) -> Iterator[tuple[str, bool, Array]]:
    """Name the tightest comparisons that all failures pass: (words, whether they are plain, where they hold)."""
    low, high = int(inside.min()), int(inside.max())
    if low > outside.min():
        least = int(outside[outside < low].max())
        landmark = next((n for n in _LANDMARKS if least <= n < low), None)
        words = f"{column.words} >= {low}" if landmark is None else f"{column.words} > {landmark}"
        yield words, landmark in (0, 1), outside >= low
    if low == high:
        yield f"{column.words} = {low}", low == 1, outside == low
    elif high < outside.max():
        yield f"{column.words} <= {high}", False, outside <= high
    for m in (2, 4, 8, 16, 32) if column.multiples else ():
        if not np.any(inside % m):
            yield f"{column.words} is a multiple of {m}", False, outside % m == 0
        if np.all(inside % m):
            yield f"{column.words} is no multiple of {m}", False, outside % m != 0


#: bits that it costs to say that a condition has exceptions
_EXCEPTIONS = 6.0

#: thresholds to name where the outcomes leave a choice
_LANDMARKS = (0, 1, 2, 3, 4, 7, 8, 16, 32, 64)


def _best(predicates: list[_Predicate], failures: int, passing: int) -> list[_Predicate]:
    """Up to three predicates of the least description length; none if every one costs more than it tells."""
    useful = [p for p in predicates if not p.passing.all()]
    if not useful:
        return []
    useful.sort(key=lambda p: p.cost)
    holds = np.array([p.passing for p in useful], np.float32)
    cost = np.array([p.cost for p in useful])

    one = cost + _bits(failures, holds.sum(axis=1))
    two = cost[:, None] + cost + _bits(failures, holds @ holds.T)
    np.fill_diagonal(two, np.inf)
    first, second = np.unravel_index(np.argsort(two, axis=None, kind="stable")[:64], two.shape)
    three = cost[first, None] + cost[second, None] + cost
    three = three + _bits(failures, (holds[first] * holds[second]) @ holds.T)
    three[np.arange(len(first)), first] = three[np.arange(len(first)), second] = np.inf
    row, third = np.unravel_index(np.argmin(three), three.shape)
    choices: list[tuple[float, tuple[Any, ...]]] = [
        (float(_bits(failures, np.array(passing))), ()),
        (float(one.min()), (np.argmin(one),)),
        (float(two[first[0], second[0]]), (first[0], second[0])),
        (float(three[row, third]), (first[row], second[row], third)),
    ]
    return [useful[i] for i in sorted(min(choices, key=lambda choice: choice[0])[1])]


def _bits(failures: int, excused: Array) -> Array:
    """Bits that say which problems under a condition fail: log2 C(failures + excused, failures)."""
    ways = gammaln(failures + excused + 1) - gammaln(excused + 1) - gammaln(failures + 1)
    # most faults are deterministic: that a condition has exceptions must be paid for, too
    return np.asarray(ways / np.log(2) + _EXCEPTIONS * (excused > 0))


# -- features ------------------------------------------------------------------------------------------------


def _columns(problems: Sequence[Problem]) -> Iterator[_Column]:
    """All features, the plain ones cheapest."""
    for words, cost, feature in (*_TRUTHS, *_dtypes()):
        yield _Column(words, cost, np.array([feature(p) for p in problems], bool))
    for words, cost, number, multiples in _NUMBERS:
        yield _Column(words, cost, np.array([number(p) for p in problems], np.int64), multiples)


def _dtypes() -> list[tuple[str, float, Callable[[Problem], bool]]]:
    each = [(f"dtype is {name}", 4.0, _of((name,))) for name in DTYPES]
    kinds = {
        "dtype is an integer": [d.name for d in DTYPES.values() if d.kind == "i"],
        "dtype is complex": [d.name for d in DTYPES.values() if d.kind == "c"],
        "dtype is a float": [d.name for d in DTYPES.values() if d.kind == "f"],
        "dtype is a 16-bit float": ["f16", "bf16"],
    }
    return each + [(words, 4.0, _of(names)) for words, names in kinds.items()]


def _of(names: Sequence[str]) -> Callable[[Problem], bool]:
    return lambda p: p.dtype in names


def _uneven(name: str) -> Callable[[Problem], bool]:
    return lambda p: len(set(getattr(p, name))) > 1


def _per_axis(holds: Callable[..., bool], *names: str) -> Callable[[Problem], bool]:
    return lambda p: any(holds(*values) for values in zip(*(getattr(p, name) for name in names), strict=True))


def _leftover(p: Problem) -> bool:
    axes = zip(p.size, p.padding, p.reach, p.stride, strict=True)
    return any((size + sum(pad) - reach) % stride for size, pad, reach, stride in axes)


_TRUTHS: tuple[tuple[str, float, Callable[[Problem], bool]], ...] = (
    ("there is a bias", 3.0, lambda p: p.bias),
    ("the groups are depthwise", 4.0, lambda p: p.groups > 1 and p.channels_per_group == 1),
    ("strides are unequal", 4.0, _uneven("stride")),
    ("dilations are unequal", 4.0, _uneven("dilation")),
    ("paddings are unequal", 4.0, _uneven("padding")),
    ("the two ends' paddings differ", 4.0, lambda p: any(low != high for low, high in p.padding)),
    ("padding is 'same'", 4.0, lambda p: p.same),
    ("the kernel is 1 along every axis", 4.0, lambda p: set(p.kernel) == {1}),
    ("the kernel is 1 along some axis", 5.0, lambda p: 1 in p.kernel),
    ("the kernel is even", 5.0, _per_axis(lambda k: k % 2 == 0, "kernel")),
    ("the kernel is even along the last axis", 6.0, lambda p: p.kernel[-1] % 2 == 0),
    ("the kernel is odd along the last axis", 6.0, lambda p: p.kernel[-1] % 2 == 1),
    ("the kernel is not square", 5.0, _uneven("kernel")),
    ("the kernel is square", 5.0, lambda p: p.ndim > 1 and len(set(p.kernel)) == 1),
    ("the input is not square", 5.0, _uneven("size")),
    ("the input is square", 5.0, lambda p: p.ndim > 1 and len(set(p.size)) == 1),
    ("the kernel is larger than the input", 5.0, _per_axis(lambda reach, size: reach > size, "reach", "size")),
    ("the kernel is as large as the input", 5.0, lambda p: p.kernel == p.size),
    ("the stride is above the kernel", 5.0, _per_axis(lambda s, k: s > k, "stride", "kernel")),
    ("the stride is the kernel", 5.0, lambda p: p.stride == p.kernel),
    ("there are as many filters as channels", 5.0, lambda p: p.filters == p.channels),
    ("there are as many filters as outputs along the last axis", 6.0, lambda p: p.filters == p.output[-1]),
    ("padding is at least the kernel's reach", 5.0, _per_axis(lambda p, r: min(p) >= r, "padding", "reach")),
    ("the stride leaves input over", 5.0, _leftover),
)
_NUMBERS: tuple[tuple[str, float, Callable[[Problem], int], bool], ...] = (
    ("stride", 3.0, lambda p: max(p.stride), False),
    ("dilation", 3.0, lambda p: max(p.dilation), False),
    ("padding", 3.0, lambda p: max(map(max, p.padding)), False),
    ("groups", 3.0, lambda p: p.groups, False),
    ("batch", 3.0, lambda p: p.batch, False),
    ("spatial axes", 3.0, lambda p: p.ndim, False),
    ("channels per group", 4.0, lambda p: p.channels_per_group, True),
    ("filters per group", 4.0, lambda p: p.filters_per_group, True),
    ("channels", 4.0, lambda p: p.channels, True),
    ("filters", 4.0, lambda p: p.filters, True),
    ("kernel", 4.0, lambda p: max(p.kernel), False),
    ("kernel along every axis", 5.5, lambda p: min(p.kernel), False),
    ("taps", 5.5, lambda p: prod(p.kernel), False),
    ("stride along every axis", 5.5, lambda p: min(p.stride), False),
    ("dilation along every axis", 5.5, lambda p: min(p.dilation), False),
    ("padding along every axis", 5.5, lambda p: min(map(max, p.padding)), False),
    ("input size", 5.0, lambda p: max(p.size), False),
    ("input size along every axis", 6.0, lambda p: min(p.size), False),
    ("input size along the last axis", 6.0, lambda p: p.size[-1], True),
    ("input size along the first axis", 6.0, lambda p: p.size[0], True),
    ("output size", 5.0, lambda p: max(p.output), False),
    ("output size along every axis", 6.0, lambda p: min(p.output), False),
    ("output size along the last axis", 6.0, lambda p: p.output[-1], True),
    ("output size along the first axis", 6.0, lambda p: p.output[0], True),
    ("output positions", 6.0, lambda p: prod(p.output), True),
    ("summed products", 6.0, lambda p: p.terms(), False),
)
