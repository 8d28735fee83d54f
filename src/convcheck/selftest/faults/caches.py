"""Faults of caches: what an earlier call left is used again by a key that does not tell all calls apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE
from convcheck.selftest.call import Request, read_call
from convcheck.selftest.fault import Apply, Fault, plant_apply

__all__ = ["FAULTS", "Remembering", "parameters", "remembered", "shapes"]

Array = np.ndarray[Any, Any]
Key = Callable[[Map, Any, Operands], Hashable]


def shapes(which: Map, problem: Any, operands: Operands) -> Hashable:
    """Key of a cache: the map, and shapes and dtype of the operands."""
    del problem
    return which, operands.a.shape, operands.b.shape, operands.a.dtype


def parameters(which: Map, problem: Any, operands: Operands) -> Hashable:
    """Key of a cache: shapes and every parameter."""
    given = (problem.stride, problem.padding, problem.dilation, problem.groups, operands.bias is None)
    return shapes(which, problem, operands), tuple(map(str, given))


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


class Remembering:
    """A cache of at most ``room`` entries: what ``make`` returned for a key is returned again for it."""

    def __init__(self, key: Key, make: Apply, use: Callable[[Any, Map, Any, Operands], Array], room: int = 64) -> None:
        self.key, self.make, self.use, self.room = key, make, use, room
        self.kept: dict[Hashable, Any] = {}

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map by what is remembered of an earlier call."""
        read_call(Request.of(which, problem, operands))  # an invalid call leaves no trace
        key = self.key(which, problem, operands)
        if key not in self.kept:
            if len(self.kept) >= self.room:
                self.kept.clear()
            self.kept[key] = self.make(which, problem, operands)
        return self.use(self.kept[key], which, problem, operands)


def remembered(what: str, key: Key, room: int = 64) -> Apply:
    """Remember one operand (``a``, ``b``), or the ``result``, by a key that does not tell all apart."""
    if what == "result":
        return Remembering(key, BASE, lambda kept, *_: kept.copy(), room)
    return Remembering(
        key,
        lambda _, __, operands: getattr(operands, what).copy(),
        lambda kept, which, problem, operands: BASE(which, problem, operands._replace(**{what: kept})),
        room,
    )


def _remembered_parameter(name: str) -> Apply:
    """Take a parameter from the first call of these shapes, where the sizes still allow it."""

    def use(kept: Any, which: Map, problem: Any, operands: Operands) -> Array:
        call = read_call(Request.of(which, problem, operands))
        return BASE.replace(see=lambda _: call.replace(**{name: tuple(kept.tolist())}))(which, problem, operands)

    return Remembering(shapes, lambda _, problem, __: np.array(getattr(problem, name)), use)


FAULTS: tuple[Fault, ...] = tuple(
    plant_apply(name, "state", apply)
    for name, apply in {
        "weight-cached-by-shapes": remembered("b", shapes),
        "weight-cached-by-address": remembered("b", lambda w, p, o: (shapes(w, p, o), _address(o.b))),
        "weight-cached-by-its-first-element": remembered("b", lambda w, p, o: (shapes(w, p, o), o.b.flat[0].item())),
        "input-cached-by-address": remembered("a", lambda w, p, o: (shapes(w, p, o), _address(o.a))),
        "result-cached-by-shapes-and-parameters": remembered("result", parameters),
        "result-cached-by-the-input": remembered("result", lambda w, p, o: (parameters(w, p, o), o.a.tobytes())),
        "result-cached-by-the-weight": remembered("result", lambda w, p, o: (parameters(w, p, o), o.b.tobytes())),
        "result-cached-without-the-bias": remembered(
            "result", lambda w, p, o: (parameters(w, p, o), o.a.tobytes(), o.b.tobytes())
        ),
        "result-cached-by-both-sums": remembered(
            "result", lambda w, p, o: (parameters(w, p, o), str(o.a.sum()), str(o.b.sum()), o.bias is None)
        ),
        "stride-remembered-by-shapes": _remembered_parameter("stride"),
        "dilation-remembered-by-shapes": _remembered_parameter("dilation"),
        "padding-remembered-by-shapes": _remembered_parameter("padding"),
    }.items()
)
