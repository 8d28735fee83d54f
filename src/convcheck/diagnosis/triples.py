"""What is wrong, where no mistake is known: single products by hand, and where in the result the errors lie."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import prod
from typing import Any

import numpy as np

from convcheck.diagnosis.evidence import Observation, call
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.errors import UnsupportedError
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["where_wrong", "wrong_triples"]

Array = np.ndarray[Any, Any]

#: pairs of one-hot operands that are tried
PAIRS = 1500


def wrong_triples(conv: Conv, problem: Problem, most: int = 5) -> list[str]:
    """Up to ``most`` sentences on products that a result takes and should not, or lacks."""
    if prod(prod(problem.shapes[role]) for role in conv.map.roles) > PAIRS:
        return []
    try:
        return list(islice(_triples(conv, problem.replace(bias=False)), most)) or [
            "right for every pair of one-hot operands, so that it is not bilinear"
        ]
    except UnsupportedError:
        return []


def _triples(conv: Conv, problem: Problem) -> Iterator[str]:
    dtype = DTYPES[problem.dtype].numpy
    shapes = [problem.shapes[role] for role in conv.map.roles]
    for i, j in np.ndindex(*map(prod, shapes)):
        operands = Operands(*(np.zeros(shape, dtype) for shape in shapes))
        operands.a.flat[i], operands.b.flat[j] = 1, 1
        expected = contract(conv.map, problem, *operands)
        at = [np.unravel_index(*pair) for pair in zip((i, j), shapes, strict=True)]
        product = " ".join(f"{n}{_index(k)}" for n, k in zip(_names(conv.map), at, strict=True))
        got, error = call(conv, problem, operands)
        if got is None or got.shape != expected.shape:
            # one is enough: the others say the same
            shape = () if got is None else got.shape
            yield f"{error or f'returns shape {shape}'} for {product}"
            return
        for place in np.argwhere(got != expected):
            said = _sentence(got[tuple(place)], expected[tuple(place)], product)
            yield f"{_result(conv.map)}{_index(place)} {said}"


def _sentence(got: float, expected: float, product: str) -> str:
    if expected == 0:
        return f"takes {product}{'' if got == 1 else f' times {got:g}'}, which it should not"
    return f"lacks {product}" if got == 0 else f"takes {product} times {got:g}, not once"


def _names(which: Map) -> list[str]:
    return ["gy" if role == "y" else role for role in which.roles]


def _result(which: Map) -> str:
    return which.result if which is Map.FORWARD else f"g{which.result}"


def _index(index: Any) -> str:
    return f"[{','.join(str(int(i)) for i in index)}]"


def where_wrong(observation: Observation) -> str:
    """Say where in the result the errors lie, if they do not lie everywhere; else an empty string."""
    got, expected = observation.got, observation.expected
    if got is None or got.shape != expected.shape or got.size < 2:
        return ""
    wrong = ~np.isclose(got, expected, rtol=0, atol=np.max(observation.bound))
    names = _DIMENSIONS[observation.which.result]
    found = []
    for dimension, length in enumerate(wrong.shape):
        others = tuple(d for d in range(wrong.ndim) if d != dimension)
        place = _place(np.flatnonzero(wrong.any(axis=others)), length)
        if place:
            name = names[dimension] if dimension < 2 else f"{names[2]} along axis {dimension - 2}"
            found.append(f"the {name} is {place} (of {length})")
    return f"wrong only where {' and '.join(found)}" if found else ""


_DIMENSIONS = {
    "y": ("image", "filter", "position"),
    "x": ("image", "channel", "position"),
    "w": ("filter", "channel", "tap"),
}


def _place(wrong: Array, length: int) -> str:
    """Describe a set of indices below ``length``, if it is one of them, a range, or every m-th; else say nothing."""
    first, last, count = int(wrong[0]), int(wrong[-1]), len(wrong)
    if count == length:
        return ""
    if count == last - first + 1:
        return f"{first}" if count == 1 else f"{first} to {last}"
    steps = set(np.diff(wrong).tolist())
    return f"{first}, {first + steps.pop()}, ..." if len(steps) == 1 else ""
