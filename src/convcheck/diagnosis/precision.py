"""How many bits operands, sums and results keep, by calls whose exact result is one small number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from math import log2
from typing import NamedTuple

import numpy as np

from convcheck.diagnosis.evidence import call
from convcheck.diagnosis.formats import named
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.errors import UnsupportedError
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["lost_bits", "probed"]

Triple = tuple[float, float, float]

NAMES = {"x": "inputs", "w": "weights", "y": "upstream gradients"}


class _Probe(NamedTuple):
    """Three products a[i] b[i], by number of bits, whose sum must be ``total``."""

    a: Callable[[int], Triple]
    b: Callable[[int], Triple]
    total: Callable[[int], float]


def _constant(values: Triple) -> Callable[[int], Triple]:
    return lambda _: values


def _odd(bits: int) -> int:
    """Least whole number that needs so many bits; an int, since float64 does not hold all of 64-bit integers."""
    return int(2 ** (bits - 1)) + 1


_ONES = _constant((1, 1, 1))
#: operands are probed where the leading bit cancels, so that a narrow result does not hide behind them
_OPERANDS = (
    _Probe(lambda k: (_odd(k), 1 - _odd(k), 0), _ONES, lambda _: 1.0),
    _Probe(_ONES, lambda k: (1 - _odd(k), _odd(k), 0), lambda _: 1.0),
)
_RESULT = _Probe(lambda k: (_odd(k), 0, 0), _ONES, _odd)
_HALVES = (
    _Probe(_constant((1.5, 0.0, 0.0)), _constant((2.0, 0.0, 0.0)), lambda _: 3.0),
    _Probe(_constant((2.0, 0.0, 0.0)), _constant((1.5, 0.0, 0.0)), lambda _: 3.0),
)
_HALF = _Probe(_constant((1.5, 0.0, 0.0)), _ONES, lambda _: 1.5)


def _sums(order: Sequence[int]) -> _Probe:
    """M, 1 and -M in some order: 1 survives if the sums keep as many bits as M + 1 has."""

    def arranged(one: float, two: float, three: float) -> Triple:
        values = (one, two, three)
        return values[order[0]], values[order[1]], values[order[2]]

    def power(exponent: int) -> int:
        return int(2**exponent)

    # M is a product, so that neither factor leaves the range of the dtype
    return _Probe(
        lambda k: arranged(power(k - 1 - k // 2), 1, -power(k - 1 - k // 2)),
        lambda k: arranged(power(k // 2), 1, power(k // 2)),
        lambda _: 1.0,
    )


_ORDERS = tuple(permutations(range(3)))


def lost_bits(conv: Conv, problem: Problem) -> str:
    """Say which operand, sum or result keeps fewer bits than the dtype and the declared arithmetic promise."""
    found = probed(conv, problem)
    if found is None or conv.numerics.normwise or problem.dtype == "u8":
        return ""
    try:
        prober = _Prober(conv, found)
        lost = prober.whole_numbers() or prober.lost()
        # a call that is wrong now and then is not a matter of bits
        return lost if lost == (prober.whole_numbers() or prober.lost()) else ""
    except UnsupportedError:
        return ""


def probed(conv: Conv, problem: Problem) -> Problem | None:
    """Return the smallest problem in which three products meet in the middle of the result, if that is taken."""
    size, kernel = {Map.FORWARD: (3, 3), Map.GRAD_INPUT: (5, 3), Map.GRAD_WEIGHT: (3, 1)}[conv.map]
    ones = (1,) * (problem.ndim - 1)
    found = Problem(size=(*ones, size), kernel=(*ones, kernel), dtype=problem.dtype)
    return None if conv.engine.capabilities.admits(found) else found


class _Prober(NamedTuple):
    conv: Conv
    problem: Problem

    def whole_numbers(self) -> str:
        """Whether fractions get lost, which whole numbers do not show."""
        if DTYPES[self.problem.dtype].kind == "i":
            return ""
        roles = zip(self.conv.map.roles, _HALVES, strict=True)
        cut = [NAMES[role] for role, probe in roles if self.call([probe.a(2), probe.b(2)]) in (2, 4)]
        if cut:
            return f"{' and '.join(cut)} cut to whole numbers"
        return "result cut to whole numbers" if self.call([_HALF.a(2), _HALF.b(2)]) in (1, 2) else ""

    def lost(self) -> str:
        """Compare the bits kept with those promised: of sums, then operands, then the result."""
        dtype, numerics = DTYPES[self.problem.dtype], self.conv.numerics
        if not all(self.holds(probe, 2) for probe in (*_OPERANDS, _RESULT, *map(_sums, _ORDERS))):
            return ""  # every format keeps two bits: it is something else
        # M is the product of two numbers of the dtype, whose range bounds it
        within = 2 * int(log2(dtype.largest)) + 1
        promised = min(DTYPES[numerics.accumulator(dtype.name, self.conv.map)].precision, within)
        taken = numerics.bits_taken(dtype.name)
        sums = min(self.bits(_sums(order), promised) for order in _ORDERS)
        # what is returned arrives here as float64
        wanted = min(dtype.precision, 53)
        stored = self.bits(_RESULT, wanted)
        if dtype.kind == "i":
            # integers wrap, so that only the least of all tells
            least = min(sums, stored)
            complete = sums == promised and stored == wanted
            return "" if complete else f"whole numbers of more than {least} bits get lost"
        kept = [self.bits(probe, min(dtype.precision, promised)) for probe in _OPERANDS]
        rounded = [i for i, bits in enumerate(kept) if bits < min(sums, taken, dtype.precision)]
        if rounded:
            names = " and ".join(NAMES[self.conv.map.roles[i]] for i in rounded)
            return f"{names} {self.how(_OPERANDS[rounded[0]], rounded[0], kept[rounded[0]])}"
        if sums < promised and not numerics.splits:
            return f"sums kept in {named(sums)}, not in {named(promised)}"
        return self.stored(stored, min(taken, wanted))

    def stored(self, bits: int, wanted: int) -> str:
        """Say how the result is cut: in its precision or, where a power of two is lost, in its range."""
        if bits >= wanted:
            return ""
        power = int(2**bits)
        back = self.call([(power, 0, 0), _ONES(bits)])
        if back == power:
            return f"result stored in {named(bits)}, not in {named(wanted)}"
        return f"results are limited: {power} comes back as {back if back is None else f'{back:g}'}"

    def bits(self, probe: _Probe, most: int) -> int:
        """Most bits at which a probe comes out right."""
        if self.holds(probe, most):
            return most
        return next((k for k in range(2, most) if not self.holds(probe, k)), most) - 1

    def how(self, probe: _Probe, which: int, bits: int) -> str:
        """Tell rounding from truncation by a number three quarters of the way from one that is kept to the next."""
        sides, kept = [list(side(bits)) for side in probe[:2]], int(2 ** (bits + 1))
        sides[which] = [kept + 3 if v > 1 else -kept if v < 0 else 0 for v in sides[which]]
        return f"{'rounded' if self.call(sides) == 4 else 'truncated'} to {named(bits)}"

    def holds(self, probe: _Probe, bits: int) -> bool:
        return self.call([probe.a(bits), probe.b(bits)]) == probe.total(bits)

    def call(self, sides: Sequence[Sequence[float]]) -> float | None:
        """The result's middle element, where the three products meet."""
        # output position p meets tap 2 - p at the middle of an input's gradient
        aligned = (sides[0], sides[1][::-1] if self.conv.map is Map.GRAD_INPUT else sides[1])
        dtype = DTYPES[self.problem.dtype].numpy
        shapes = (self.problem.shapes[role] for role in self.conv.map.roles)
        arrays = (np.array(v).astype(dtype).reshape(shape) for v, shape in zip(aligned, shapes, strict=True))
        got, _ = call(self.conv, self.problem, Operands(*arrays))
        return None if got is None or got.size == 0 else float(got.flat[got.size // 2])
