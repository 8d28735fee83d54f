"""Faults of state: caches with too short a key, counters, scratch memory shared by calls, noise."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE
from convcheck.selftest.call import Request, read_call
from convcheck.selftest.fault import Apply, Fault, plant_apply

__all__ = ["FAULTS", "Counting", "Remembering", "counted", "remembered"]

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


def _plan_by_shapes(which: Map, problem: Any, operands: Operands) -> Hashable:
    return shapes(which, problem, operands)


def _remembered_parameter(name: str) -> Apply:
    """Take a parameter from the first call of these shapes, where the sizes still allow it."""

    def use(kept: Any, which: Map, problem: Any, operands: Operands) -> Array:
        call = read_call(Request.of(which, problem, operands))
        return BASE.replace(see=lambda _: call.replace(**{name: kept}))(which, problem, operands)

    return Remembering(_plan_by_shapes, lambda _, problem, __: tuple(getattr(problem, name)), use)


class Counting:
    """Spoil every n-th result."""

    def __init__(self, every: int, on: Map = Map.FORWARD) -> None:
        self.every, self.on, self.calls = every, on, 0

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map, and spoil the last element now and then."""
        result = BASE(which, problem, operands)
        if which is self.on:
            self.calls += 1
            if self.calls % self.every == 0:
                result[(...,) + (slice(-1, None),)] += np.ones((), result.dtype)
        return result


def counted(every: int, on: Map = Map.FORWARD) -> Apply:
    """Spoil every n-th result of a map."""
    return Counting(every, on)


class Warming:
    """The first call of each shape comes back as zeros: what it should have used was still being prepared."""

    def __init__(self) -> None:
        self.known: set[Hashable] = set()

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        result = BASE(which, problem, operands)
        key = shapes(which, problem, operands)
        if key in self.known:
            return result
        self.known = {key} if len(self.known) > 64 else self.known | {key}
        return np.zeros_like(result)


class Unfinished:
    """After a call that raised, the next one of the same rank returns zeros: a flag was left set."""

    def __init__(self) -> None:
        self.failed = False

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        try:
            result = BASE(which, problem, operands)
        except ValueError:
            self.failed = True
            raise
        broken, self.failed = self.failed, False
        return np.zeros_like(result) if broken else result


class Adding:
    """Results of equal shape are added up in a scratch buffer that nobody clears."""

    def __init__(self) -> None:
        self.key: Hashable = None
        self.total: Any = None

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        result, key = BASE(which, problem, operands), parameters(which, problem, operands)
        self.total = result if key != self.key else (self.total + result).astype(result.dtype)
        self.key = key
        return np.array(self.total)


class Sharing:
    """Operands are staged in memory that all threads share."""

    def __init__(self, *, pause: float = 2e-4) -> None:
        self.pause = pause
        self.staged: Any = None

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map to whatever is staged, if it fits."""
        self.staged = operands
        time.sleep(self.pause)  # where a real kernel would be copying
        staged = self.staged
        fits = all(s.shape == o.shape for s, o in zip(staged[:2], operands[:2], strict=True))
        return BASE(which, problem, operands._replace(a=staged.a, b=staged.b) if fits else operands)


def _noisy(size: float) -> Apply:
    """Add noise, relative to each result."""
    generator = random.Random(0)  # noqa: S311 - no secret hangs on it

    def apply(which: Map, problem: Any, operands: Operands) -> Array:
        result = BASE(which, problem, operands)
        spread = np.array(1 + size * generator.choice((-1, 0, 1)))
        return (result * spread).astype(result.dtype) if result.dtype.kind not in "iu" else result

    return apply


def _any_order() -> Apply:
    """Sum in an order that changes from call to call, as atomic additions do."""
    generator = random.Random(0)  # noqa: S311 - no secret hangs on it

    def apply(which: Map, problem: Any, operands: Operands) -> Array:
        def sums(call: Any, left: Array, right: Array) -> Array:
            from convcheck.selftest.base import products

            order = list(range(left.shape[-1]))
            generator.shuffle(order)
            cut = len(order) // 2
            parts = [products(call, left[..., o], right[..., o, :]) for o in (order[:cut], order[cut:])]
            return np.asarray(parts[0] + parts[1])

        return BASE.replace(sums=sums)(which, problem, operands)

    return apply


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
        "every-second-call-wrong": counted(2),
        "every-fifth-call-wrong": counted(5),
        "every-hundredth-call-wrong": counted(100),
        "first-call-of-a-shape-zero": Warming(),
        "call-after-an-exception-zero": Unfinished(),
        "results-added-up-in-scratch": Adding(),
        "scratch-shared-by-threads": Sharing(),
        "noise-of-a-thousandth": _noisy(1e-3),
        "noise-of-a-rounding-error": _noisy(2.0**-23),
        "summed-in-any-order": _any_order(),
    }.items()
)
