"""Operands as pure functions of a problem and a short fill: the same numbers on every platform.

A fill prints and parses as one word: ``dense:7#3/strided`` is seed 3 of non-zero integers in -7..7, laid out
with gaps; ``points@0,0,1,2=3;0,0,0,0=-1`` is zero but for two elements; ``impulse@0,0,1,2`` is a single one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.errors import ParseError
from convcheck.layouts import LAYOUTS, arrange
from convcheck.problem import Problem

__all__ = ["FILLS", "Fill", "Operands", "make"]

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]
Points = tuple[tuple[Index, complex], ...]


class Operands(NamedTuple):
    """What one call is given: the two factors of the bilinear map and, for a forward map, the bias."""

    a: Array
    b: Array
    bias: Array | None = None

    def changed(self, change: Callable[[Array], Array]) -> Operands:
        """Return the same change of each; where there is no bias, there is none."""
        return Operands(change(self.a), change(self.b), None if self.bias is None else change(self.bias))


@dataclass(frozen=True)
class Fill:
    """How one operand is filled and laid out.

    ``limit`` bounds the integers of `dense`, `sparse`, `structured` and `opposed` fills, and, but for one unit, of
    `paired` ones, which like the last are named with the axis along which they are so; ``points`` lists the non-zeros
    of a `points` fill.
    """

    kind: str
    limit: int = 1
    seed: int = 0
    points: Points = ()
    layout: str = "contiguous"

    def __post_init__(self) -> None:
        """Refuse kinds and layouts that do not exist, and limits that no 64-bit integer could be drawn below."""
        if self.kind not in FILLS:
            raise ParseError(f"no fill is called {self.kind!r}; there are {', '.join(FILLS)}")
        if self.layout not in LAYOUTS:
            raise ParseError(f"no layout is called {self.layout!r}; there are {', '.join(LAYOUTS)}")
        if not 1 <= self.limit <= 2**62:
            raise ParseError(f"a fill's limit is a number in 1..{2**62}, not {self.limit}")

    def replace(self, **changes: Any) -> Self:
        """Return the fill with some fields changed."""
        return replace(self, **changes)

    def __str__(self) -> str:
        """One word, from which `parse` makes an equal fill."""
        if self.kind == "points":
            single = len(self.points) == 1 and self.points[0][1] == 1
            text = "impulse@" if single else "points@"
            text += ";".join(_commas(i) + ("" if single else f"={_number(v)}") for i, v in self.points)
        else:
            text = self.kind + (f":{self.limit}" if self.kind in _LIMITED else "")
            text += f"#{self.seed}" if self.kind in _SEEDED else ""
        return text + ("" if self.layout == "contiguous" else f"/{self.layout}")

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read what ``str`` wrote.

        Raises
        ------
        ParseError
            If the word is no fill; the message shows it.
        """
        match = _FILL.fullmatch(word)
        if not match:
            raise ParseError(f"{word!r} is not a fill such as 'dense:7#3', 'ramp' or 'impulse@0,0,1,2'")
        kind, limit, seed, points, layout = match.groups()
        return cls(
            kind="points" if kind == "impulse" else kind,
            limit=int(limit or 1),
            seed=int(seed or 0),
            points=tuple(map(_parse_point, filter(None, (points or "").split(";")))),
            layout=layout or "contiguous",
        )


def make(problem: Problem, role: str, fill: Fill) -> Array:
    """Make the operand that plays ``role`` (x, w, y, bias or xbias) in a problem.

    Returns
    -------
    Array
        Shape ``problem.shapes[role]``, of the problem's dtype, in the fill's layout.
    """
    shape = problem.shapes[role]
    request = _Request(problem, role, shape, fill)
    values = FILLS[fill.kind](request)
    if DTYPES[problem.dtype].kind == "c" and fill.kind in _SEEDED:
        values = values.reshape(shape) + 1j * FILLS[fill.kind](request._replace(stream=1)).reshape(shape)
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(values.reshape(shape).astype(DTYPES[problem.dtype].numpy))
    return arrange(array, fill.layout)


class _Request(NamedTuple):
    problem: Problem
    role: str
    shape: Index
    fill: Fill
    stream: int = 0  # 1: of imaginary parts

    def raw(self) -> Array:
        """Uniform 64-bit words, one an element; NumPy guarantees the stream of a bit generator (NEP 19)."""
        key = (self.stream << 100) + (self.fill.seed << 3) + "xwyb".index(self.role[0])
        return np.random.Philox(key=key).random_raw(max(1, prod(self.shape)))[: prod(self.shape)]


def _dense(request: _Request) -> Array:
    """Non-zero integers in -limit..limit (1..limit where the dtype has no sign)."""
    raw, limit = request.raw(), np.uint64(request.fill.limit)
    magnitude = (raw >> np.uint64(1)) % limit + np.uint64(1)
    sign = 1 - 2 * (raw & np.uint64(1)).astype(np.int64)
    return magnitude.astype(np.int64) * (1 if request.problem.dtype == "u8" else sign)


def _sparse(request: _Request) -> Array:
    """Dense integers of which about half are zero, the first always and the last, where there are two, never."""
    array = _dense(request)
    zero = (request.raw() >> np.uint64(63)).astype(bool)
    zero[-1:], zero[:1] = False, True
    return np.where(zero, 0, array)


def _structured(request: _Request) -> Array:
    """One integer a filter (or image) for all its elements, but for one, which is a unit nearer to zero."""
    lines = _dense(request).reshape(request.shape[0], prod(request.shape[1:]))
    if lines.size:
        lines[...] = lines[:, :1]
        place = (request.raw().reshape(lines.shape)[:, 0] >> np.uint64(32)).astype(np.int64) % lines.shape[1]
        lines[np.arange(len(lines)), place] -= np.sign(lines[:, 0])
    return lines


def _constant(request: _Request) -> Array:
    """One number of a full-length mantissa and either sign, of magnitude 1/4 to 1/2, everywhere."""
    raw = int(request.raw()[0]) if prod(request.shape) else 0
    value = (1 + (raw >> 12) * 2.0**-52) / 4
    return np.full(request.shape, -value if raw & 1 else value)


def _extreme(request: _Request) -> Array:
    """The integer of the dtype that is farthest from zero everywhere: where it has a sign, its negative isn't there."""
    kind = DTYPES[request.problem.dtype]
    limits = np.iinfo(kind.numpy) if kind.kind == "i" else None
    return np.full(request.shape, -1 if limits is None else limits.min or limits.max)


def _taps(request: _Request) -> Array:
    """One 1 a filter, or a line of whatever the first axis counts, and zero elsewhere: no sum has two terms."""
    lines = np.zeros((request.shape[0], prod(request.shape[1:])))
    if lines.size:
        places = (request.raw().reshape(lines.shape)[:, 0] >> np.uint64(32)).astype(np.int64) % lines.shape[1]
        lines[np.arange(len(lines)), places] = 1
    return lines


def _ramp(request: _Request) -> Array:
    """0, 1, 2, ... in memory order, starting again where the dtype would stop being exact."""
    count, precision = prod(request.shape), DTYPES[request.problem.dtype].precision
    return np.arange(count, dtype=np.int64) % (1 << min(precision, 20))


def _points(request: _Request) -> Array:
    """Zero but for the points listed; those outside the shape are left out."""
    is_complex = any(value.imag for _, value in request.fill.points)
    array = np.zeros(request.shape, np.complex128 if is_complex else np.float64)
    for index, value in request.fill.points:
        if len(index) == array.ndim and all(i < s for i, s in zip(index, request.shape, strict=True)):
            array[index] = value if is_complex else value.real
    return array


def _normal(request: _Request) -> Array:
    """Sum of four 16-bit uniforms, centred: nearly normal, and free of functions that platforms round differently."""
    raw = request.raw()
    parts = np.stack([(raw >> np.uint64(s)) & np.uint64(0xFFFF) for s in (0, 16, 32, 48)])
    total: Array = parts.astype(np.float64).sum(axis=0)
    return (total - 131070.0) / 37837.0


def _positive(request: _Request) -> Array:
    """Uniform in (0, 1]: nothing cancels, so that rounding errors can only add up."""
    return ((request.raw() >> np.uint64(11)).astype(np.float64) + 1) * 2.0**-53


def _wide(request: _Request) -> Array:
    """Full-length mantissas of both signs times powers of two over the dtype's range of exponents."""
    raw = request.raw()
    low, high = DTYPES[request.problem.dtype].exponents
    exponent = low + (raw & np.uint64(0xFF)).astype(np.int64) % (high - low + 1)
    mantissa = 1 + (raw >> np.uint64(12)).astype(np.float64) * 2.0**-52
    sign = 1 - 2.0 * ((raw >> np.uint64(9)) & np.uint64(1)).astype(np.float64)
    return np.ldexp(sign * mantissa, exponent)


def _paired(request: _Request, axis: int) -> Array:
    """Dense integers of which every second along an axis repeats the one before, but for one unit."""
    array = _dense(request).reshape(request.shape)
    first, second = _halves(array, axis)
    second[...] = first + np.sign(second)
    return array


def _opposed(request: _Request, axis: int) -> Array:
    """Dense integers of which every second along an axis is the one before, negated.

    Along a spatial axis of x all elements are, seen from the one a stride before: whatever one output's window
    holds, the next one's holds negated.
    """
    array = _dense(request).reshape(request.shape)
    if request.role == "x" and axis >= 2:
        step, index = request.problem.stride[axis - 2], np.arange(array.shape[axis])
        sign = np.where(index // step % 2, -1, 1)
        return np.take(array, index % step, axis) * sign.reshape(-1, *(1,) * (array.ndim - axis - 1))
    first, second = _halves(array, axis)
    second[...] = -first
    return array


def _halves(array: Array, axis: int) -> tuple[Array, Array]:
    """Views of the first and of the second elements of all pairs of neighbours along an axis."""
    line = np.moveaxis(array, min(axis, array.ndim - 1), 0)
    second = line[1::2]
    return line[::2][: len(second)], second


#: axes along which terms are paired: images or filters, channels, and the first spatial one
_PAIRED_AXES = (0, 1, 2)
FILLS: dict[str, Callable[[_Request], Array]] = {
    "dense": _dense,
    "ramp": _ramp,
    "ones": lambda request: np.ones(request.shape),
    "zeros": lambda request: np.zeros(request.shape),
    "points": _points,
    "sparse": _sparse,
    "structured": _structured,
    "extreme": _extreme,
    "taps": _taps,
    "normal": _normal,
    "positive": _positive,
    "wide": _wide,
    "constant": _constant,
    **{f"paired{axis}": partial(_paired, axis=axis) for axis in _PAIRED_AXES},
    **{f"opposed{axis}": partial(_opposed, axis=axis) for axis in _PAIRED_AXES},
}
_LIMITED = ("dense", "sparse", "structured", *(kind for kind in FILLS if kind[-1].isdigit()))
_SEEDED = (*_LIMITED, "taps", "normal", "positive", "wide", "constant")
_FILL = re.compile(r"([a-z]+[0-2]?)(?::(\d+))?(?:#(\d+))?(?:@([^/]*))?(?:/([a-z_]+))?")


def _commas(index: Index) -> str:
    return ",".join(map(str, index))


def _number(value: complex) -> str:
    if value.imag:
        sign = "" if np.signbit(value.imag) else "+"
        return (f"{_number(value.real)}{sign}" if value.real else "") + f"{_number(value.imag)}j"
    real = value.real
    return str(int(real)) if abs(real) < 2**53 and real == int(real) else repr(real)


def _parse_point(text: str) -> tuple[Index, complex]:
    index, _, value = text.partition("=")
    try:
        return tuple(map(int, index.split(","))), (complex if value.endswith("j") else float)(value or 1)
    except ValueError:
        raise ParseError(f"{text!r} is not a point such as '0,0,1,2=3'") from None
