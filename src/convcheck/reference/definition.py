"""The batched layer and its two gradients, product by product, in exact arithmetic.

The vectorised oracle (`convcheck.reference.maps`) is checked against these: they are slow and plain on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from convcheck.errors import DtypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["correlate_by_definition", "grad_input_by_definition", "grad_weight_by_definition"]

Index = tuple[int, ...]


def correlate_by_definition(
    x: NDArray[Any],
    w: NDArray[Any],
    b: NDArray[Any] | None = None,
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> NDArray[np.object_]:
    """Compute the convolution layer in exact arithmetic: ``y[n,o,p] = b[o] + sum of x[n,c,q] w[o,c,k]``.

    The sum runs over all channels c of o's group and all taps k, with ``q = stride p + dilation k - lo`` on
    every axis; what lies outside of x counts as zero.

    Parameters
    ----------
    x, w, b
        Real or integer arrays of shapes ``(N, C, *size)``, ``(O, C / groups, *kernel)`` and ``(O,)``, over
        any number of axes; object arrays of ints and Fractions are taken too.
    stride, dilation
        One positive int an axis.
    padding
        One pair ``(lo, hi)`` an axis: zeros before the first and after the last position.
    groups
        Divides C and O.

    Returns
    -------
    NDArray[object]
        Shape ``(N, O, *out)``: Python ints if every operand holds integers, otherwise Fractions.

    Raises
    ------
    ShapeError
        If the shapes and options do not fit together, or no output is left.
    DtypeError
        If an operand is complex, not a number, or wider than float64.
    ValueError, OverflowError
        If an operand holds NaN or an infinity.
    """
    _check_ranks(x, w)
    layer = _Layer(len(x), len(w), x.shape[1], x.shape[2:], w.shape[2:], stride, padding, dilation, groups)
    layer.check(x=x, w=w, b=b)
    x, w, b = _exact(x), _exact(w), _exact(np.zeros(len(w), int) if b is None else b)
    y = _zeros((layer.batch, layer.filters, *layer.out), x, w, b)
    for n, o, *p in np.ndindex(y.shape):
        y[(n, o, *p)] += b[o]
    for at_x, at_w, at_y in layer.products():
        y[at_y] += x[at_x] * w[at_w]
    return y


def grad_input_by_definition(
    gy: NDArray[Any],
    w: NDArray[Any],
    *,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> NDArray[np.object_]:
    """Compute the layer's gradient in its input, exactly: ``gx[n,c,q] = sum of gy[n,o,p] w[o,c,k]``.

    Parameters
    ----------
    gy, w
        Arrays of shapes ``(N, O, *out)`` and ``(O, C / groups, *kernel)``.
    size
        The spatial sizes of the input: with a stride, several have the same output.
    stride, padding, dilation, groups
        As for `correlate_by_definition`, and so are the errors.

    Returns
    -------
    NDArray[object]
        Shape ``(N, C, *size)``, exact as `correlate_by_definition` is.
    """
    _check_ranks(gy, w)
    layer = _Layer(len(gy), len(w), groups * w.shape[1], size, w.shape[2:], stride, padding, dilation, groups)
    layer.check(gy=gy, w=w)
    gy, w = _exact(gy), _exact(w)
    gx = _zeros((layer.batch, layer.channels, *size), gy, w)
    for at_x, at_w, at_y in layer.products():
        gx[at_x] += gy[at_y] * w[at_w]
    return gx


def grad_weight_by_definition(
    gy: NDArray[Any],
    x: NDArray[Any],
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> NDArray[np.object_]:
    """Compute the layer's gradient in its weight, exactly: ``gw[o,c,k] = sum of gy[n,o,p] x[n,c,q]``.

    Parameters
    ----------
    gy, x
        Arrays of shapes ``(N, O, *out)`` and ``(N, C, *size)``.
    kernel
        The spatial sizes of the kernel: with a stride, several have the same output.
    stride, padding, dilation, groups
        As for `correlate_by_definition`, and so are the errors.

    Returns
    -------
    NDArray[object]
        Shape ``(O, C / groups, *kernel)``, exact as `correlate_by_definition` is.
    """
    _check_ranks(gy, x)
    layer = _Layer(len(x), gy.shape[1], x.shape[1], x.shape[2:], kernel, stride, padding, dilation, groups)
    layer.check(gy=gy, x=x)
    gy, x = _exact(gy), _exact(x)
    gw = _zeros((layer.filters, layer.channels // groups, *kernel), gy, x)
    for at_x, at_w, at_y in layer.products():
        gw[at_w] += gy[at_y] * x[at_x]
    return gw


@dataclass(frozen=True)
class _Layer:
    batch: int
    filters: int
    channels: int
    size: Sequence[int]
    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[tuple[int, int]]
    dilation: Sequence[int]
    groups: int

    @property
    def out(self) -> Index:
        axes = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + lo + hi - d * (k - 1) - 1) // s + 1 for n, k, s, (lo, hi), d in axes)

    def products(self) -> Iterator[tuple[Index, Index, Index]]:
        """Where x and w are read and y is written, once for every product that the layer adds up."""
        fan_in = self.channels // self.groups
        for n, o, c in product(range(self.batch), range(self.filters), range(fan_in)):
            group = o // (self.filters // self.groups)
            for p in np.ndindex(*self.out):
                for k in np.ndindex(*self.kernel):
                    q = self._position(p, k)
                    if all(0 <= at < size for at, size in zip(q, self.size, strict=True)):
                        yield (n, group * fan_in + c, *q), (o, c, *k), (n, o, *p)

    def _position(self, p: Index, k: Index) -> Index:
        axes = zip(self.stride, p, self.dilation, k, self.padding, strict=True)
        return tuple(s * at + d * tap - lo for s, at, d, tap, (lo, _) in axes)

    def check(self, **operands: NDArray[Any] | None) -> None:
        """Raise unless the options are possible and the operands have the shapes that follow from them."""
        options = self.size, self.kernel, self.stride, self.padding, self.dilation
        if len({len(option) for option in options}) > 1:
            raise ShapeError(f"size, kernel, stride, padding and dilation differ in their axes: {self}")
        if min((self.groups, *self.kernel, *self.stride, *self.dilation)) < 1:
            raise ShapeError(f"groups, kernel, stride and dilation must be at least 1: {self}")
        if self.channels % self.groups or self.filters % self.groups:
            raise ShapeError(f"groups must divide channels and filters: {self}")
        if min(self.out, default=1) < 1:
            raise ShapeError(f"the kernel is larger than the padded input: {self}")
        shapes = {
            "x": (self.batch, self.channels, *self.size),
            "w": (self.filters, self.channels // self.groups, *self.kernel),
            "b": (self.filters,),
            "gy": (self.batch, self.filters, *self.out),
        }
        for name, operand in operands.items():
            if operand is not None and operand.shape != shapes[name]:
                raise ShapeError(f"{name} must be of shape {shapes[name]}, not {operand.shape}: {self}")


def _check_ranks(*operands: NDArray[Any]) -> None:
    shapes = [operand.shape for operand in operands]
    if min(map(len, shapes)) < 2 or len(set(map(len, shapes))) > 1:
        raise ShapeError(f"the operands need one rank, of 2 or more, got shapes {shapes}")


def _exact(array: NDArray[Any]) -> NDArray[np.object_]:
    number = _number(array.dtype)
    exact = np.empty(array.shape, object)
    for at in np.ndindex(array.shape):
        exact[at] = number(array[at])
    return exact


def _number(dtype: np.dtype[Any]) -> Callable[[Any], int | Fraction]:
    if dtype.kind == "O":
        return _rational
    if dtype.name.startswith(("int", "uint")):
        return int
    # Every float up to float64, ml_dtypes' included, is a Python float exactly; wider ones are not.
    if dtype.name.startswith(("float", "bfloat")) and dtype.itemsize <= 8:
        return lambda value: Fraction(float(value))
    raise DtypeError(f"exact arithmetic takes integers, and floats up to float64, got {dtype}")


def _rational(value: Any) -> int | Fraction:
    if isinstance(value, int | Fraction):
        return value
    raise DtypeError(f"exact arithmetic takes object arrays of ints and Fractions, got {value!r} in one")


def _zeros(shape: Index, *operands: NDArray[np.object_]) -> NDArray[np.object_]:
    integers = all(isinstance(value, int) for operand in operands for value in operand.flat)
    return np.full(shape, 0 if integers else Fraction(0), object)
