"""Mistakes in which element is taken for which: flipped, transposed, shifted, permuted, repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from convcheck.diagnosis.mistakes.mistake import Mistake, Scope, along, subsets
from convcheck.diagnosis.model import OUTSIDE, Model
from convcheck.problem import Map

__all__ = ["flips", "permuted", "repeated", "shifts", "transposed"]

Array = np.ndarray[Any, Any]
View = Callable[[Array], Array]


def _viewed(role: str, rearrange: View) -> Callable[[Model], Model]:
    return lambda model: model.view(role, rearrange)


def _at(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Dimensions of spatial axes."""
    return tuple(2 + axis for axis in axes)


def flips(scope: Scope) -> Iterator[Mistake]:
    """The kernel, the input or the output is read backwards along some axes, or round and round."""
    for axes in subsets(scope.ndim):
        yield Mistake(_flip_words(scope, axes), _flipped("w", axes), len(axes) == scope.ndim)
    for role, name in (("x", "input"), ("y", "output")):
        for axes in subsets(scope.ndim):
            yield Mistake(along(f"{name} flipped", axes, scope.ndim), _flipped(role, axes))
    for axis in range(scope.ndim):
        for by in (1, -1):
            words = along("kernel rolled by one tap", (axis,), scope.ndim)
            yield Mistake(words, _rolled("w", (axis,), by))


def _flip_words(scope: Scope, axes: tuple[int, ...]) -> str:
    """A gradient of the input needs the kernel flipped, so that there the mistake is to leave it as it is.

    A transposed convolution computes the same, but one thinks of it as adding the kernel up where each input stands.
    """
    if len(axes) == scope.ndim and scope.which is Map.FORWARD:
        kinds = ("convolution", "cross-correlation")
        got, wanted = kinds if scope.convention == "correlation" else kinds[::-1]
        return f"computes {got}, not {wanted}: kernel flipped (right with convention {got.removeprefix('cross-')})"
    of_input = "kernel flipped" if scope.own else "kernel not flipped"
    words = {Map.FORWARD: "kernel flipped", Map.GRAD_INPUT: of_input, Map.GRAD_WEIGHT: "result flipped"}
    return along(words[scope.which], axes, scope.ndim)


def _flipped(role: str, axes: tuple[int, ...]) -> Callable[[Model], Model]:
    return _viewed(role, lambda array: np.flip(array, _at(axes)))


def _rolled(role: str, axes: tuple[int, ...], by: int) -> Callable[[Model], Model]:
    return _viewed(role, lambda array: np.roll(array, by, _at(axes)))


def transposed(scope: Scope) -> Iterator[Mistake]:
    """Two axes of an array are swapped; where they are not equally long, its memory is read as if they were."""
    for a, b in combinations(range(scope.ndim), 2):
        said = f"transposed: axes {a} and {b} swapped"
        reread, swapped, if_square = (rule(2 + a, 2 + b) for rule in (_reread, _swapped, _swapped_if_square))
        for rearrange in (reread, _indexed_backwards(2 + a, 2 + b)):
            yield Mistake(f"kernel {said}", _viewed("w", rearrange), True)
            yield Mistake(f"input {said}", _viewed("x", rearrange))
            yield Mistake(f"kernel and input {said}", _viewed_both(rearrange))
        for rearrange in (reread, swapped, if_square):
            yield Mistake(f"output {said}", _viewed("y", rearrange))
    yield Mistake("filters and channels of the weight swapped", _viewed("w", _reread(0, 1)))
    yield Mistake("images and filters of the output swapped", _viewed("y", _reread(0, 1)))


def _reread(a: int, b: int) -> View:
    return lambda array: np.swapaxes(array, a, b).reshape(array.shape)


def _indexed_backwards(a: int, b: int) -> View:
    """Find elements in memory as if the other axis ran faster: at j * rows + i instead of i * columns + j."""

    def view(array: Array) -> Array:
        shape = list(array.shape)
        shape[a], shape[b] = shape[b], shape[a]
        return np.swapaxes(array.reshape(shape), a, b)

    return view


def _swapped(a: int, b: int) -> View:
    return lambda array: np.swapaxes(array, a, b)


def _swapped_if_square(a: int, b: int) -> View:
    return lambda array: np.swapaxes(array, a, b) if array.shape[a] == array.shape[b] else array


def _viewed_both(rearrange: View) -> Callable[[Model], Model]:
    return lambda model: model.view("w", rearrange).view("x", rearrange)


def shifts(scope: Scope) -> Iterator[Mistake]:
    """The output stands elsewhere, and what it leaves behind is zero or what fell off at the other end."""
    for axes in subsets(scope.ndim):
        for by in (1, -1, 2, -2):
            yield Mistake(along(f"output shifted by {by:+d}", axes, scope.ndim), _moved(axes, by))
            yield Mistake(along(f"output rolled by {by:+d}", axes, scope.ndim), _rolled("y", axes, by))


def _moved(axes: tuple[int, ...], by: int) -> Callable[[Model], Model]:
    def view(array: Array) -> Array:
        for dimension in _at(axes):
            array = np.roll(array, by, dimension)
            lines = np.moveaxis(array, dimension, 0)
            lines[slice(0, by) if by > 0 else slice(by, None)] = OUTSIDE
        return array

    return _viewed("y", view)


#: orders that programs fall into, along the first dimension
ORDERS: tuple[tuple[str, View], ...] = (
    ("in reverse order", lambda a: a[::-1]),
    ("rotated by one", lambda a: np.roll(a, 1, axis=0)),
    ("rotated by minus one", lambda a: np.roll(a, -1, axis=0)),
    ("exchanged in pairs", lambda a: a[[min(i ^ 1, len(a) - 1) for i in range(len(a))]]),
    ("with the first two exchanged", lambda a: a[[1, 0, *range(2, len(a))]] if len(a) > 1 else a),
)


def permuted(_: Scope) -> Iterator[Mistake]:
    """Images, channels or filters in another order; within a group it matters of which array."""
    for name, role, dimension in (
        ("images", "x", 0),
        ("channels", "x", 1),
        ("channels", "w", 1),
        ("filters", "y", 1),
        ("filters", "w", 0),
    ):
        for words, order in ORDERS:
            yield Mistake(f"{name} {words}", _viewed(role, _along(dimension, order)))


def repeated(_: Scope) -> Iterator[Mistake]:
    """One image, channel or filter stands for all."""
    for role, dimension, one, many in (
        ("x", 0, "image", "images"),
        ("x", 1, "channel", "channels"),
        ("w", 0, "filter's weights", "filters"),
        ("y", 1, "filter's result", "filters"),
    ):
        for which, place in (("first", 0), ("last", -1)):
            yield Mistake(f"{which} {one} used for all {many}", _viewed(role, _along(dimension, _only(place))))
        yield Mistake(f"first {one} used for the second, too", _viewed(role, _along(dimension, _first_twice)))


def _only(place: int) -> View:
    return lambda array: array[[place] * len(array)]


def _first_twice(array: Array) -> Array:
    return array[[0, *range(min(1, len(array) - 1)), *range(2, len(array))]]


def _along(dimension: int, rearrange: View) -> View:
    return lambda array: np.moveaxis(rearrange(np.moveaxis(array, dimension, 0)), 0, dimension)
