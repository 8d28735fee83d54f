"""A map as a target might compute it: the relation of `convcheck.reference.maps`, with every part open to change.

The reference lists its relation as slices. Here it is a table of indices, slower, in which a position may also be
read twice, out of order, or not at all: what a mistake does to a convolution is an edit of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.operands import Operands
from convcheck.problem import Map, Problem, Sizes

__all__ = ["OUTSIDE", "Axis", "Model", "predictions"]

Array = np.ndarray[Any, Any]
View = Callable[[Array], Array]

#: index of what is not there and counts as zero
OUTSIDE = -1


def _zeros(q: Array, size: int) -> Array:
    return np.where((q >= 0) & (q < size), q, OUTSIDE)


def _reflected(q: Array, size: int) -> Array:
    period = max(1, 2 * (size - 1))
    return np.asarray(np.minimum(q % period, period - q % period))


def _mirrored(q: Array, size: int) -> Array:
    return np.asarray(np.minimum(q % (2 * size), 2 * size - 1 - q % (2 * size)))


#: which input position stands at a position of the padding, by the kind of padding
BORDERS: dict[str, Callable[[Array, int], Array]] = {
    "zeros": _zeros,
    "the edge value": lambda q, size: np.clip(q, 0, size - 1),
    "the edge value at the low end": lambda q, size: _zeros(np.maximum(q, 0), size),
    "the edge value at the high end": lambda q, size: _zeros(np.minimum(q, size - 1), size),
    "a reflection": _reflected,
    "a reflection that repeats the edge": _mirrored,
    "the opposite end (circular)": lambda q, size: q % size,
}


class Axis(NamedTuple):
    """The parameters of one spatial axis; ``extra`` is added to the numerator of the formula of the output size."""

    size: int
    kernel: int
    stride: int
    dilation: int
    low: int
    high: int
    border: str = "zeros"
    extra: int = 0

    @property
    def reach(self) -> int:
        """Extent of the dilated kernel: d (k - 1) + 1."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def output(self) -> int:
        """How many output positions these parameters make."""
        return max(0, (self.size + self.low + self.high - self.reach + self.extra) // self.stride + 1)

    def made(self, output: int, leftover: int) -> int:
        """How many input positions a transposed convolution makes of so many outputs, and its output_padding."""
        return (output - 1) * self.stride - self.low - self.high + self.reach + leftover


@lru_cache(maxsize=4096)
def _table(axis: Axis, rows: int, kept: int) -> Array:
    """Input position by output position and tap, shape (rows, kernel); rows from ``kept`` on are outside."""
    p = np.arange(rows)[:, None]
    q = axis.stride * p + axis.dilation * np.arange(axis.kernel) - axis.low
    padded = (q >= -axis.low) & (q < axis.size + axis.high) & (axis.size > 0)
    found = BORDERS[axis.border](q, max(1, axis.size))
    return np.where((p < kept) & padded, found, OUTSIDE)


@dataclass(frozen=True, kw_only=True)
class Model:
    """What one call computes, right (`of`) until it is edited.

    ``source`` holds the input channel that each filter reads at each of its channels, shape (O, C/g).
    ``views`` are applied, by role, to the indices of that role's elements: as if the array was rearranged first
    (an operand) or afterwards (a result). ``finish`` is applied to the result's values, in order. ``earlier`` are
    the operands of the call before and of the first one on the same problem, where there were any.
    """

    which: Map
    problem: Problem
    operands: Operands
    earlier: tuple[Operands, ...]
    axes: tuple[Axis, ...]
    source: Array
    views: tuple[tuple[str, View], ...] = ()
    finish: tuple[View, ...] = ()

    @classmethod
    def of(cls, which: Map, problem: Problem, operands: Operands, earlier: tuple[Operands, ...] = ()) -> Self:
        """Return the model of the right computation."""
        p = problem
        sizes = zip(p.size, p.kernel, p.stride, p.dilation, p.padding, strict=True)
        axes = tuple(Axis(i, k, s, d, low, high) for i, k, s, d, (low, high) in sizes)
        group = np.arange(p.filters)[:, None] // p.filters_per_group
        source = group * p.channels_per_group + np.arange(p.channels_per_group)
        return cls(which=which, problem=p, operands=operands, earlier=earlier, axes=axes, source=source)

    def replace(self, **changes: Any) -> Self:
        """Return the model with some fields changed."""
        return replace(self, **changes)

    def equals(self, other: Self) -> bool:
        """Whether two models of one call are equal as far as that shows without computing."""
        kept = ("source", "operands", "views", "finish")
        return self.axes == other.axes and all(getattr(self, k) is getattr(other, k) for k in kept)

    def view(self, role: str, rearrange: View) -> Self:
        """Return the model in which the array of a role (x, w or y) is rearranged."""
        return self.replace(views=(*self.views, (role, rearrange)))

    def then(self, change: View) -> Self:
        """Return the model whose result's values are changed at the end."""
        return self.replace(finish=(*self.finish, change))


def predictions(model: Model) -> Iterator[Array]:
    """Results that a target which computes this may return.

    Where the edited parameters make another output size than was asked for, a target may return that size, or
    the size asked for with what lies beyond computed by the same formula, or left zero. A transposed convolution, which
    is told the output's size, may return the input size that they make of it.
    """
    asked, natural = model.problem.output, tuple(axis.output for axis in model.axes)
    choices: list[tuple[Sizes, Sizes]] = [(asked, asked)]
    if natural != asked:
        choices += [(asked, natural)] + [(natural, natural)] * (model.which is Map.FORWARD)
    for rows, kept in choices:
        result = _compute(model, rows, kept)
        if result is not None:
            yield result
    made = tuple(map(Axis.made, model.axes, asked, model.problem.leftover))
    if model.which is Map.GRAD_INPUT and made != model.problem.size and min(made) > 0:
        axes = tuple(axis._replace(size=size) for axis, size in zip(model.axes, made, strict=True))
        other = _compute(model.replace(axes=axes, problem=model.problem.replace(size=made)), asked, asked)
        if other is not None:
            yield other


def _compute(model: Model, rows: Sizes, kept: Sizes) -> Array | None:
    """Contract over the relation; None where a gradient does not fit a view of it."""
    x, w = (_indices(model, role, model.problem.shapes[role]) for role in ("x", "w"))
    y = _indices(model, "y", (len(x), len(w), *rows))
    ix, iw = _relate(model, x, rows, kept), w.reshape(len(w), prod(w.shape[1:]))
    a, b = (np.append(operand.astype(np.float64).ravel(), 0.0) for operand in model.operands[:2])
    if model.which is Map.FORWARD:
        values = np.einsum("nojp,oj->nop", a[ix], b[iw]).reshape(*ix.shape[:2], *rows)
        if model.operands.bias is not None:
            values = values + model.operands.bias.astype(np.float64).reshape(-1, *(1,) * len(rows))
        return _finished(model, np.append(values.ravel(), 0.0)[y])
    if y.shape != model.operands.a.shape:
        return None
    upstream = _scattered(y, model.operands.a.astype(np.float64), y.shape).reshape(*ix.shape[:2], prod(rows))
    if model.which is Map.GRAD_INPUT:
        shares = upstream[:, :, None, :] * b[iw][None, :, :, None]
        return _finished(model, _scattered(ix, shares, model.problem.shapes["x"]))
    shares = np.einsum("nop,nojp->oj", upstream, b[ix])
    return _finished(model, _scattered(iw, shares, model.problem.shapes["w"]))


def _indices(model: Model, role: str, shape: Sizes) -> Array:
    """Flat index of every element of a role's array, as the views of that role rearrange them."""
    indices = np.arange(prod(shape)).reshape(shape)
    for viewed, rearrange in model.views:
        if viewed == role:
            indices = rearrange(indices)
    return indices


def _relate(model: Model, x: Array, rows: Sizes, kept: Sizes) -> Array:
    """Flat index of the input element by image, filter, (channel and tap), output position: shape (N, O, J, P)."""
    ndim = len(rows)
    # one more position along every axis but the images', so that the index OUTSIDE finds OUTSIDE
    framed = np.full((len(x), *(length + 1 for length in x.shape[1:])), OUTSIDE)
    framed[(slice(None), *(slice(length) for length in x.shape[1:]))] = x
    found = framed[:, model.source]
    for number, axis in enumerate(model.axes):
        found = np.take(found, _table(axis, rows[number], kept[number]), axis=3 + 2 * number)
    order = (0, 1, 2, *range(4, 4 + 2 * ndim, 2), *range(3, 3 + 2 * ndim, 2))
    n, o, c = found.shape[:3]
    return found.transpose(order).reshape(n, o, c * prod(a.kernel for a in model.axes), prod(rows))


def _scattered(indices: Array, values: Array, shape: Sizes) -> Array:
    """Sum of values by index."""
    total = np.zeros(prod(shape) + 1)
    np.add.at(total, indices, values)
    return total[:-1].reshape(shape)


def _finished(model: Model, result: Array) -> Array:
    with np.errstate(all="ignore"):
        for change in model.finish:
            result = change(result)
        return result.astype(DTYPES[model.problem.dtype].numpy).astype(np.float64)
