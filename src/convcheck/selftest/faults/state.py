"""Faults of state: counters, scratch memory shared by calls, flags left set, noise."""

from __future__ import annotations

import random
import time
from collections.abc import Hashable
from math import prod
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, products
from convcheck.selftest.call import Request, read_call, trailing
from convcheck.selftest.fault import Apply, Fault, plant_apply
from convcheck.selftest.faults.caches import parameters, shapes

__all__ = ["FAULTS", "Counting", "Sharing"]

Array = np.ndarray[Any, Any]


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
                result[..., -1:] += np.ones((), result.dtype)
        return result


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


class StalePadding:
    """The input is padded in a scratch buffer that only grows, whose margin is taken to be still zero."""

    def __init__(self) -> None:
        self.scratch = np.zeros(0)

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map to the scratch buffer's contents."""
        if which is not Map.FORWARD or operands.a.dtype.kind in "iu":
            return BASE(which, problem, operands)
        call = read_call(Request.of(which, problem, operands))
        sizes = [s + sum(p) for s, p in zip(call.size, call.padding, strict=True)]
        shape = (*operands.a.shape[:2], *sizes)
        if self.scratch.size < prod(shape):
            self.scratch = np.zeros(prod(shape))
        padded = self.scratch[: prod(shape)].reshape(shape)
        interior = (slice(low, low + s) for (low, _), s in zip(call.padding, call.size, strict=True))
        padded[trailing(interior)] = operands.a
        with np.errstate(over="ignore"):
            x = padded.astype(operands.a.dtype)
        bare = Request.of(which, problem, operands)._replace(a=x, padding=((0, 0),) * call.ndim, size=tuple(sizes))
        return BASE.replace(front=lambda _: bare)(which, problem, operands)


class FirstDtype:
    """What was prepared for the first dtype of some shapes is used for every later one."""

    def __init__(self) -> None:
        self.seen: dict[Hashable, np.dtype[Any]] = {}

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map in the first dtype, and convert."""
        own = operands.a.dtype
        if own not in (np.float32, np.float64):
            return BASE(which, problem, operands)
        if len(self.seen) > 1000:
            self.seen.clear()
        first = self.seen.setdefault((which, operands.a.shape, operands.b.shape), own)
        a, b, bias = operands
        converted = Operands(a.astype(first), b.astype(first), None if bias is None else bias.astype(first))
        return BASE(which, problem, converted).astype(own)


class Remembering:
    """Results are remembered by all that they depend on, and handed out themselves, for callers to write into."""

    def __init__(self) -> None:
        self.known: dict[Hashable, Array] = {}

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map, unless that has been done before."""
        key = (
            parameters(which, problem, operands),
            *(None if o is None else (o.dtype.str, o.shape, o.tobytes()) for o in operands),
        )
        if len(self.known) > 1000:
            self.known.clear()
        if key not in self.known:
            self.known[key] = BASE(which, problem, operands)
        return self.known[key]


class Sharing:
    """Operands are staged in memory that all threads share."""

    def __init__(self, on: Map = Map.FORWARD, *, pause: float = 2e-4) -> None:
        self.on, self.pause = on, pause
        self.staged: Any = None

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map to whatever is staged, if it fits."""
        if which is not self.on:
            return BASE(which, problem, operands)
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
            order = list(range(left.shape[-1]))
            generator.shuffle(order)
            cut = len(order) // 2
            parts = [products(call, left[..., o], right[..., o, :]) for o in (order[:cut], order[cut:])]
            return np.asarray(parts[0] + parts[1])

        return BASE.replace(sums=sums)(which, problem, operands)

    return apply


_APPLIES: dict[str, Apply] = {
    "every-second-call-wrong": Counting(2),
    "every-fifth-call-wrong": Counting(5),
    "every-hundredth-call-wrong": Counting(100),
    "first-call-of-a-shape-zero": Warming(),
    "call-after-an-exception-zero": Unfinished(),
    "results-added-up-in-scratch": Adding(),
    "padding-stale-in-scratch": StalePadding(),
    "first-dtype-of-a-shape-for-all": FirstDtype(),
    "results-remembered-and-handed-out": Remembering(),
    "scratch-shared-by-threads": Sharing(),
    "noise-of-a-thousandth": _noisy(1e-3),
    "noise-of-a-rounding-error": _noisy(2.0**-23),
    "summed-in-any-order": _any_order(),
}
FAULTS: tuple[Fault, ...] = tuple(plant_apply(name, "state", apply) for name, apply in _APPLIES.items())
