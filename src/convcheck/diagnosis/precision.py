"""How many bits operands, sums and results keep, by calls whose exact result is one small number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from convcheck.diagnosis.evidence import call
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["lost_bits", "probed"]

Array = np.ndarray[Any, Any]
Triple = tuple[float, float, float]

FORMATS = {4: "float8 e4m3", 3: "float8 e5m2", 8: "bfloat16", 11: "TF32 or float16", 24: "float32", 53: "float64"}


class _Probe(NamedTuple):
    """Three products a[i] b[i], by number of bits; the sum must be ``total``."""

    a: Callable[[int], Triple]
    b: Callable[[int], Triple]
    total: Callable[[int], float]


_ONES: Triple = (1.0, 1.0, 1.0)


def _above_one(bits: int) -> float:
    """Least number above 1 that needs so many bits."""
    return 1 + 2.0 ** (1 - bits)


#: operands are probed where the leading 1 cancels, so that a narrow result does not hide behind them
_FIRST = _Probe(lambda k: (_above_one(k), -1.0, 0.0), lambda _: _ONES, lambda k: 2.0 ** (1 - k))
_SECOND = _Probe(lambda _: _ONES, lambda k: (-1.0, _above_one(k), 0.0), lambda k: 2.0 ** (1 - k))
_RESULT = _Probe(lambda k: (_above_one(k), 0.0, 0.0), lambda _: _ONES, _above_one)


def _sums(order: Sequence[int]) -> _Probe:
    """M, 1 and -M in some order: 1 survives if the sums keep as many bits as M + 1 has; M = m m."""

    def half(bits: int) -> tuple[float, float]:
        return 2.0 ** ((bits - 1) // 2), 2.0 ** (bits - 1 - (bits - 1) // 2)

    def arranged(values: Triple) -> Triple:
        one, two, three = (values[i] for i in order)
        return one, two, three

    return _Probe(
        lambda k: arranged((half(k)[0], 1.0, -half(k)[0])),
        lambda k: arranged((half(k)[1], 1.0, half(k)[1])),
        lambda _: 1.0,
    )


def lost_bits(conv: Conv, problem: Problem) -> str:
    """Say which operand, sum or result keeps fewer bits than the dtype and the declared arithmetic promise."""
    dtype, numerics = DTYPES[problem.dtype], conv.numerics
    if dtype.kind == "i" or numerics.normwise:
        return ""
    wanted = DTYPES[numerics.accumulator(dtype.name, conv.map)].precision
    taken = dtype.precision if not numerics.input_roundoff else round(-np.log2(numerics.input_roundoff))
    prober = _Prober(conv, probed(conv, problem))
    sums = min((prober.bits(_sums(order), wanted) for order in permutations(range(3))), default=wanted)
    names = {"x": "inputs", "w": "weights", "y": "upstream gradients"}
    rounded = [
        (names[role], bits)
        for role, probe in zip(conv.map.roles, (_FIRST, _SECOND), strict=True)
        if (bits := prober.bits(probe, dtype.precision)) < min(sums, taken, dtype.precision)
    ]
    if rounded:
        how = prober.how(_FIRST if rounded[0][0] == names[conv.map.roles[0]] else _SECOND, rounded[0][1])
        return " and ".join(name for name, _ in rounded) + f" {how}"
    if sums < wanted and not numerics.splits:
        return f"sums kept in {_named(sums)}, not in {_named(wanted)}"
    stored = prober.bits(_RESULT, dtype.precision)
    return f"result stored in {_named(stored)}, not in {_named(dtype.precision)}" if stored < taken else ""


class _Prober(NamedTuple):
    conv: Conv
    problem: Problem | None

    def bits(self, probe: _Probe, most: int) -> int:
        """Most bits at which a probe comes out right; ``most`` if it cannot be made."""
        if self.gives(probe, most) in (None, probe.total(most)):
            return most
        return next((k for k in range(2, most) if self.gives(probe, k) != probe.total(k)), most) - 1

    def how(self, probe: _Probe, bits: int) -> str:
        """Tell rounding from truncation by a number three quarters of the way to the next one."""
        if bits <= 1:
            return "cut to whole numbers"
        return f"rounded to {_named(bits)}" if self._goes_up(probe, bits) else f"truncated to {_named(bits)}"

    def _goes_up(self, probe: _Probe, bits: int) -> bool:
        high = 1 + 2.0**-bits + 2.0 ** -(bits + 1)
        operands = [tuple(high if v not in (1.0, -1.0, 0.0) else v for v in side(bits)) for side in probe[:2]]
        return self._call(operands) == 2.0 ** (1 - bits)

    def gives(self, probe: _Probe, bits: int) -> float | None:
        return self._call([probe.a(bits), probe.b(bits)])

    def _call(self, sides: Sequence[Sequence[float]]) -> float | None:
        """The result's middle element, where the three products meet."""
        problem = self.problem
        if problem is None:
            return None
        # output position p meets tap 2 - p at the middle of an input's gradient
        aligned = (sides[0], sides[1][::-1] if self.conv.map is Map.GRAD_INPUT else sides[1])
        dtype = DTYPES[problem.dtype].numpy
        shapes = (problem.shapes[role] for role in self.conv.map.roles)
        arrays = (np.array(v, dtype).reshape(shape) for v, shape in zip(aligned, shapes, strict=True))
        got, _ = call(self.conv, problem, Operands(*arrays))
        return None if got is None or got.size == 0 else float(got.flat[got.size // 2])


def probed(conv: Conv, problem: Problem) -> Problem | None:
    """The smallest problem in which three products meet in the middle of the result."""
    size, kernel = {Map.FORWARD: (3, 3), Map.GRAD_INPUT: (5, 3), Map.GRAD_WEIGHT: (3, 1)}[conv.map]
    ones = (1,) * (problem.ndim - 1)
    found = Problem(size=(*ones, size), kernel=(*ones, kernel), dtype=problem.dtype)
    return None if conv.engine.capabilities.admits(found) else found


def _named(bits: int) -> str:
    return f"{bits} bits ({FORMATS[bits]})" if bits in FORMATS else f"{bits} bits"
