"""One call as an engine receives it: read from operands and parameters, and refused where it is no convolution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map

__all__ = ["Call", "Request", "read_call", "trailing"]

Array = np.ndarray[Any, Any]
Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def trailing(slices: Iterable[slice]) -> Any:
    """Index by slices of the last axes, which are the spatial ones."""
    return (..., *slices)


class Request(NamedTuple):
    """What a caller asks for, unchecked. ``size`` and ``kernel`` are needed where no operand shows them."""

    which: Map
    a: Array
    b: Array
    bias: Array | None
    stride: Sizes
    padding: Pairs
    dilation: Sizes
    groups: int
    same: bool
    size: Sizes
    kernel: Sizes

    @classmethod
    def of(cls, which: Map, problem: Any, operands: Operands) -> Self:
        """Take the parameters from a problem, or from anything that looks like one, and the rest from the operands."""
        a, b, bias = operands
        size = {Map.FORWARD: a.shape[2:], Map.GRAD_WEIGHT: b.shape[2:]}.get(which, tuple(problem.size))
        kernel = tuple(problem.kernel) if which is Map.GRAD_WEIGHT else b.shape[2:]
        return cls(
            which, a, b, bias, tuple(problem.stride), tuple(problem.padding), tuple(problem.dilation),
            problem.groups, problem.same, size, kernel,
        )  # fmt: skip

    @property
    def operands(self) -> Operands:
        """The operands alone."""
        return Operands(self.a, self.b, self.bias)


@dataclass(frozen=True)
class Call:
    """A checked call. ``channels`` and ``filters`` are those of one group."""

    which: Map
    size: Sizes
    kernel: Sizes
    stride: Sizes
    padding: Pairs
    dilation: Sizes
    output: Sizes
    batch: int
    groups: int
    channels: int
    filters: int
    same: bool
    dtype: np.dtype[Any]

    def replace(self, **changes: Any) -> Self:
        """Return the call with some fields changed."""
        return replace(self, **changes)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def taps(self) -> int:
        """Taps of one kernel."""
        return prod(self.kernel)

    @property
    def places(self) -> int:
        """Positions of one output plane."""
        return prod(self.output)

    @property
    def reach(self) -> Sizes:
        """Extent of the dilated kernel."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def width(self) -> int:
        """Size of the result along its last axis."""
        return {Map.FORWARD: self.output, Map.GRAD_INPUT: self.size, Map.GRAD_WEIGHT: self.kernel}[self.which][-1]


def read_call(request: Request) -> Call:
    """Check a request and read the sizes.

    Raises
    ------
    ValueError
        If it is no convolution; the message says why.
    """
    ndim = len(request.size)
    _require(min(request.groups, *request.stride, *request.dilation) >= 1, "groups, stride and dilation start at 1")
    _require(min(end for pair in request.padding for end in pair) >= 0, "padding is not negative")
    ranks = {len(v) for v in (request.kernel, request.stride, request.padding, request.dilation)}
    _require(ranks == {ndim}, "one entry an axis")
    per_axis = zip(request.size, request.kernel, request.stride, request.padding, request.dilation, strict=True)
    output = tuple((i + sum(p) - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in per_axis)
    _require(min(output) >= 1, "the kernel fits into the padded input")
    batch, channels, filters = _counts(request, output)
    return Call(
        request.which, request.size, request.kernel, request.stride, request.padding, request.dilation, output,
        batch, request.groups, channels, filters, request.same, request.a.dtype,
    )  # fmt: skip


def _counts(request: Request, output: Sizes) -> tuple[int, int, int]:
    """Batch, channels and filters of one group, by the map's operands."""
    which, groups, a, b = request.which, request.groups, request.a.shape, request.b.shape
    if which is Map.FORWARD:
        batch, channels, filters, inside = a[0], a[1], b[0], b[1]
    elif which is Map.GRAD_INPUT:
        batch, channels, filters, inside = a[0], b[1] * groups, b[0], b[1]
        _require(a[1] == filters, "upstream gradient and weight have as many filters")
    else:
        batch, channels, filters, inside = a[0], b[1], a[1], b[1] // groups
        _require(b[0] == batch, "upstream gradient and input have as many images")
    if which is not Map.FORWARD:
        _require(a[2:] == output, "the upstream gradient has the output's sizes")
    _require(channels % groups == 0 and filters % groups == 0, "groups divide channels and filters")
    _require(inside * groups == channels, "input and weight have as many channels")
    biases = channels if which is Map.GRAD_INPUT else filters
    _require(request.bias is None or request.bias.shape == (biases,), "one bias a channel of the result")
    return batch, channels // groups, filters // groups


def _require(holds: object, what: str) -> None:
    if not holds:
        raise ValueError(f"a convolution needs: {what}")
