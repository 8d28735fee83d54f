"""In which class each parameter of a problem is."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from convcheck.problem import Problem
from convcheck.space.table import COUNTS, DTYPES_OF, PLANES, VECTORS

__all__ = ["classify"]

Sizes = tuple[int, ...]


def classify(problem: Problem) -> dict[str, str]:
    """Return the class that each parameter of a problem is in: how much of the space a run reached is counted by it."""
    return {name: rule(problem) for name, rule in _RULES.items()}


def _count_class(count: int) -> str:
    return next((name for name, values in COUNTS.items() if count in values), "around" if count < 32 else "wide")


def _groups_class(p: Problem) -> str:
    if p.groups == 1:
        return "one"
    if p.channels_per_group == 1:
        return "depthwise" if p.filters_per_group == 1 else "multiplier"
    return "several"


def _kernel_class(p: Problem) -> str:
    if set(p.kernel) == {1}:
        return "unit"
    if all(r == i for r, i in zip(p.reach, p.size, strict=True)):
        return "full"
    if max(p.kernel) > 7:
        return "large"
    if 1 in p.kernel:
        return "mixed"
    parities = {k % 2 for k in p.kernel}
    return "small" if len(parities) > 1 else "odd" if parities == {1} else "even"


def _value_class(values: Sizes) -> str:
    return "unequal" if len(set(values)) > 1 else {1: "one", 2: "two"}.get(values[0], "more")


def _stride_class(p: Problem) -> str:
    above = all(s > k for s, k in zip(p.stride, p.kernel, strict=True))
    return "above-kernel" if above else _value_class(p.stride)


def _padding_class(p: Problem) -> str:
    if p.same:
        return "same-strided" if max(p.stride) > 1 else "same-lower" if p.lower else "same"
    if not any(map(any, p.padding)):
        return "none"
    if any(low != high for low, high in p.padding):
        return "two-sided"
    if all(low >= r for (low, _), r in zip(p.padding, p.reach, strict=True)):
        return "at-least-kernel"
    if len(set(p.padding)) > 1:
        return "unequal"
    return "below-dilation" if 0 < p.padding[0][0] < min(p.dilation) else "symmetric"


def _size_class(p: Problem) -> str:
    if max(p.size) > 100:
        return "large"
    if 1 in p.size:
        return "unit-axis"
    if p.ndim in PLANES and min(p.size) >= PLANES[p.ndim][0]:
        return "plane"
    if any(v - 1 <= length <= v + 2 for length in (*p.output, *p.size) for v in VECTORS):
        return "vector"
    if max(p.size) > 23:
        return "uneven"
    return "tiny" if prod(p.output) <= 16 else "narrow"


_DTYPE_CLASS = {dtype: name for name, dtypes in DTYPES_OF.items() for dtype in dtypes}
_RULES: dict[str, Callable[[Problem], str]] = {
    "ndim": lambda p: str(p.ndim),
    "dtype": lambda p: _DTYPE_CLASS[p.dtype],
    "batch": lambda p: "one" if p.batch == 1 else "several",
    "channels": lambda p: _count_class(p.channels_per_group),
    "filters": lambda p: _count_class(p.filters_per_group),
    "groups": _groups_class,
    "kernel": _kernel_class,
    "stride": _stride_class,
    "dilation": lambda p: _value_class(p.dilation),
    "padding": _padding_class,
    "size": _size_class,
    "bias": lambda p: "yes" if p.bias else "no",
}
