"""The space of problems as a table of classes: for each parameter, the kinds of value at which engines break.

Weights come from where released engines broke: unequal axes, two-sided padding, channels that are no multiple of a
vector width, stride together with dilation, kernels as large as the input. A problem is built from one class
a parameter by a chooser, valid by construction: nothing is drawn and then thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import prod
from typing import Any, Protocol, Self, TypeVar

from convcheck.dtypes import DTYPES
from convcheck.engines.base import Capabilities
from convcheck.problem import Map, Problem

__all__ = ["CLASSES", "Chooser", "Space", "classify", "impossible", "seeded"]

T = TypeVar("T")
Sizes = tuple[int, ...]

#: classes by parameter, simplest first; a class that needs a feature of the engine is listed in `NEEDS`
CLASSES: dict[str, tuple[str, ...]] = {
    "ndim": ("1", "2", "3"),
    "dtype": ("f32", "f64", "f16", "bf16", "integer"),
    "batch": ("one", "several"),
    "channels": ("one", "few", "odd", "vector", "around", "wide"),
    "filters": ("one", "few", "odd", "vector", "around", "wide"),
    "groups": ("one", "several", "depthwise", "multiplier"),
    "kernel": ("small", "unit", "even", "odd", "mixed", "full", "large"),
    "stride": ("one", "two", "more", "above-kernel", "unequal"),
    "dilation": ("one", "two", "more", "unequal"),
    "padding": ("none", "symmetric", "unequal", "two-sided", "below-dilation", "at-least-kernel", "same"),
    "size": ("tiny", "narrow", "vector", "uneven", "unit-axis", "large"),
    "bias": ("no", "yes"),
}

NEEDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("batch", "several"): ("batch",),
    **{(p, c): ("channels",) for p in ("channels", "filters") for c in CLASSES[p][1:]},
    **{("groups", c): ("groups", "channels") for c in CLASSES["groups"][1:]},
    **{("stride", c): ("stride",) for c in CLASSES["stride"][1:]},
    ("stride", "unequal"): ("stride", "unequal-stride"),
    **{("dilation", c): ("dilation",) for c in CLASSES["dilation"][1:]},
    ("dilation", "unequal"): ("dilation", "unequal-dilation"),
    **{("padding", c): ("padding",) for c in CLASSES["padding"][1:]},
    ("padding", "unequal"): ("padding", "unequal-padding"),
    ("padding", "two-sided"): ("padding", "two-sided-padding"),
    ("padding", "same"): ("padding", "same-padding", "unequal-padding"),
    ("bias", "yes"): ("bias",),
}

_INTEGERS = tuple(name for name, dtype in DTYPES.items() if dtype.kind == "i")

#: how many channels or filters a group has, by class
COUNTS: dict[str, tuple[int, ...]] = {
    "one": (1,),
    "few": (2, 3, 4),
    "odd": (5, 6, 7, 9),
    "vector": (8, 16),
    "around": (10, 11, 12, 13, 15, 17, 31, 33),
    "wide": (32, 48, 63, 64, 65, 129, 257),
}

#: sizes of a kernel along an axis, by class; a full one has those of a small one
KERNELS: dict[str, tuple[int, ...]] = {
    "small": (2, 1, 3),
    "unit": (1,),
    "even": (2, 4, 6),
    "odd": (3, 5),
    "large": (8, 9, 11, 13, 17),
}

#: how often a free choice takes a class, where that is not once
WEIGHTS: dict[tuple[str, str], int] = {
    ("dtype", "f32"): 5,
    ("dtype", "f64"): 3,
    ("dtype", "f16"): 2,
    ("dtype", "bf16"): 2,
    ("dtype", "integer"): 3,  # which five types share
    ("batch", "several"): 2,
    ("channels", "one"): 3,
    ("channels", "few"): 3,
    ("channels", "odd"): 2,
    ("filters", "one"): 3,
    ("filters", "few"): 3,
    ("filters", "odd"): 2,
    ("groups", "one"): 3,
    ("kernel", "small"): 2,
    ("stride", "one"): 3,
    ("dilation", "one"): 3,
    ("size", "tiny"): 3,
    ("size", "narrow"): 3,
}

#: elements in a vector register, or in several
_VECTORS = (8, 16, 32, 64)

#: gradients are those of floating-point operands, without a bias
GRADIENTS = {"dtype": ("f32", "f64", "f16", "bf16"), "bias": ("no",)}


class Chooser(Protocol):
    """Makes the choices inside a class: a seeded generator in a sweep, Hypothesis in a search."""

    def pick(self, options: Sequence[T]) -> T:
        """Choose one of the options, the first being the simplest."""

    def integer(self, low: int, high: int) -> int:
        """Choose an integer in low..high, low being the simplest."""


@dataclass(frozen=True)
class Space:
    """The problems that an engine supports and a law needs, as the classes that are allowed, by parameter.

    ``needs`` restricts parameters to classes, as ``{"dilation": ("two", "more")}``.
    """

    capabilities: Capabilities
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    work_limit: int = 0

    @classmethod
    def of(cls, capabilities: Capabilities, law: Any, which: Map) -> Self:
        """Return the problems on which a law can judge one of an engine's maps."""
        needs = dict(law.needs)
        for name, classes in (GRADIENTS if which is not capabilities.primary else {}).items():
            needs[name] = tuple(c for c in needs.get(name, classes) if c in classes)
        return cls(capabilities, needs, min(law.work or capabilities.work_limit, capabilities.work_limit))

    @cached_property
    def table(self) -> dict[str, tuple[str, ...]]:
        """Allowed classes by parameter, simplest first; a parameter without any makes the space empty."""
        return {
            parameter: tuple(c for c in classes if self._allows(parameter, c)) for parameter, classes in CLASSES.items()
        }

    @property
    def lacking(self) -> str:
        """Why the space is empty, or an empty string."""
        return ", ".join(name for name, classes in self.table.items() if not classes)

    def _allows(self, parameter: str, name: str) -> bool:
        offered = self.capabilities
        if parameter == "ndim" and int(name) not in offered.ndims:
            return False
        if parameter == "dtype" and not (set(_INTEGERS if name == "integer" else (name,)) & set(offered.dtypes)):
            return False
        if parameter == "kernel" and offered.kernels and not self._has_kernel(name):
            return False
        uneven = name in ("unequal", "uneven", "unit-axis", "mixed")
        if uneven and max(offered.ndims) == 1 and name != "unit-axis":
            return False
        needs = NEEDS.get((parameter, name), ())
        if parameter == "padding" and name == "same" and max(offered.ndims) == 1:
            needs = ("padding", "same-padding")
        allowed = self.needs.get(parameter, CLASSES[parameter])
        return name in allowed and all(need in offered.features for need in needs)

    def _has_kernel(self, name: str) -> bool:
        """Whether an engine whose kernels have a few sizes only has one in a class."""
        sizes = self.capabilities.kernels
        return name == "full" or bool({*KERNELS.get(name, ())} & {*sizes}) or (name == "mixed" and 1 in sizes[:-1])

    def build(self, choose: Chooser, row: Mapping[str, str] | None = None) -> Problem:
        """Build a problem: classes from ``row`` where it names them, else chosen; values chosen inside each class."""
        table = self.table
        cls = {p: (row or {}).get(p) or choose.pick(_weighted(p, classes)) for p, classes in table.items()}
        return _Builder(choose, cls, self.capabilities, self.work_limit or self.capabilities.work_limit).problem()


@cache
def _weighted(parameter: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(c for c in classes for _ in range(WEIGHTS.get((parameter, c), 1)))


@dataclass
class _Builder:
    choose: Chooser
    cls: Mapping[str, str]
    offered: Capabilities
    limit: int

    def problem(self) -> Problem:
        """Choose kernel, dilation, padding and sizes, then as many channels as the work allows."""
        ndim = int(self.cls["ndim"])
        kernel = self.kernel(ndim)
        dilation = self.per_axis("dilation", {"one": 1, "two": 2, "more": self.choose.pick((3, 3, 4, 5))}, ndim)
        stride = self.stride(kernel)
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        same = self.cls["padding"] == "same" and "same-padding" in self.offered.features
        if same:
            stride = (1,) * ndim
            padding = tuple(((r - 1) // 2, r // 2) for r in reach)
        else:
            padding = self.padding(reach, dilation)
        size = self.size(kernel, reach, stride, padding)
        if self.offered.primary is Map.GRAD_INPUT and "output-padding" not in self.offered.features:
            padded = [v + sum(p) - r for v, p, r in zip(size, padding, reach, strict=True)]
            size = tuple(v + -rest % s for v, rest, s in zip(size, padded, stride, strict=True))
        spatial = Problem(
            size=size, kernel=kernel, stride=stride, padding=padding, dilation=dilation, same=same,
            dtype=self.dtype(), bias=self.cls["bias"] == "yes",
        )  # fmt: skip
        return self.widen(spatial)

    def dtype(self) -> str:
        if self.cls["dtype"] != "integer":
            return self.cls["dtype"]
        return self.choose.pick([name for name in _INTEGERS if name in self.offered.dtypes])

    def kernel(self, ndim: int) -> Sizes:
        pick, name = self.choose.pick, self.cls["kernel"]
        options = (4, 5) if name == "large" and ndim == 3 else KERNELS.get(name, KERNELS["small"])
        if allowed := self.offered.kernels:
            return tuple(pick([k for k in options if k in allowed] or allowed) for _ in range(ndim))
        sizes = [pick(options) for _ in range(ndim)]
        if name == "mixed":
            axis = self.choose.integer(0, ndim - 1)
            sizes[axis], sizes[axis - 1] = 1, pick((2, 3, 4, 5)) if ndim > 1 else 1
        if name == "large" and ndim > 1:
            sizes[self.choose.integer(0, ndim - 1)] = pick((1, 2, 3))
        return tuple(sizes)

    def per_axis(self, parameter: str, values: Mapping[str, int], ndim: int) -> Sizes:
        name = self.cls[parameter]
        if name != "unequal" or ndim == 1:
            return (values.get(name, 2),) * ndim
        return self.uneven((1, 2, 3), ndim)

    def uneven(self, options: Sequence[int], ndim: int) -> Sizes:
        """Values of which at least two differ."""
        sizes = [self.choose.pick(options) for _ in range(ndim)]
        if len(set(sizes)) == 1:
            sizes[self.choose.integer(0, ndim - 1)] = options[(options.index(sizes[0]) + 1) % len(options)]
        return tuple(sizes)

    def stride(self, kernel: Sizes) -> Sizes:
        if self.cls["stride"] == "above-kernel":
            extra = self.choose.integer(1, 2)
            uneven = "unequal-stride" in self.offered.features
            return tuple((k if uneven else max(kernel)) + extra for k in kernel)
        return self.per_axis("stride", {"one": 1, "two": 2, "more": self.choose.pick((3, 3, 4, 5))}, len(kernel))

    def padding(self, reach: Sizes, dilation: Sizes) -> tuple[tuple[int, int], ...]:
        name, choose, ndim = self.cls["padding"], self.choose, len(reach)
        if name == "none":
            return ((0, 0),) * ndim
        uneven = "unequal-padding" in self.offered.features
        if name == "unequal" and ndim > 1:
            return tuple((p, p) for p in self.uneven((0, 1, 2, 3), ndim))
        if name == "two-sided":
            pairs = [(choose.integer(0, 3), choose.integer(0, 3)) for _ in range(ndim)]
            axis = choose.integer(0, ndim - 1)
            pairs[axis] = (pairs[axis][0], pairs[axis][0] + 1) if len(set(pairs[axis])) == 1 else pairs[axis]
            return tuple(pairs) if uneven else (pairs[axis],) * ndim
        if name == "at-least-kernel":
            extra = choose.integer(0, 2)
            ends = [r + extra for r in reach]
        elif name == "below-dilation":
            ends = [max(1, d - 1) for d in dilation]
        else:
            ends = [choose.integer(1, 3)] * ndim
        return tuple((p, p) for p in (ends if uneven else [max(ends)] * ndim))

    def size(self, kernel: Sizes, reach: Sizes, stride: Sizes, padding: Iterable[tuple[int, int]]) -> Sizes:
        name, choose, ndim = self.cls["size"], self.choose, len(kernel)
        least = [max(1, r - sum(p)) for r, p in zip(reach, padding, strict=True)]
        if self.cls["kernel"] == "full":
            return tuple(max(low, r) for low, r in zip(least, reach, strict=True))
        tiny = [choose.integer(low, low + 2 * s + 1) for low, s in zip(least, stride, strict=True)]
        special = choose.integer(0, ndim - 1)
        if name == "narrow":
            tiny = [max(low, choose.integer(3, 23 if ndim < 3 else 9)) for low in least]
        elif name == "vector":
            tiny[special] = choose.pick(_VECTORS) + choose.pick((0, -1, 1, 2)) + reach[special] - 1
        elif name == "uneven":
            tiny[special] = choose.integer(24, 70)
        elif name == "unit-axis":
            tiny[special] = 1
        elif name == "large":
            tiny[special] = choose.pick((127, 128, 129, 255, 256, 257, 300, 513, 1025, 2049))
        return tuple(map(max, tiny, least))

    def widen(self, spatial: Problem) -> Problem:
        """Choose batch, groups, channels and filters of the classes wanted, within the work that is left."""
        choose, cls = self.choose, self.cls
        left = max(1, self.limit // max(1, prod(spatial.output) * prod(spatial.kernel)))
        groups = {"one": 1, "several": min(choose.pick((2, 3, 4, 2, 3, 4, 5, 8)), max(2, left))}.get(cls["groups"], 0)
        depthwise = groups == 0
        if depthwise:
            groups = choose.pick(COUNTS[cls["channels"]]) if cls["channels"] != "one" else choose.pick((2, 3))
            multiplier = choose.pick((2, 3))  # also where it is not wanted: what is simpler must not take fewer choices
            channels, filters = 1, 1 if cls["groups"] == "depthwise" else multiplier
            groups = max(1, min(groups, left // filters))
        else:
            channels = min(choose.pick(COUNTS[cls["channels"]]), max(1, left // groups))
            filters = min(choose.pick(COUNTS[cls["filters"]]), max(1, left // (groups * channels)))
        batch = choose.pick((2, 3, 4, 5, 2, 3, 4, 9, 17, 33)) if cls["batch"] == "several" else 1
        batch = max(1, min(batch, left // (groups * channels * filters)))
        return spatial.replace(batch=batch, groups=groups, channels=groups * channels, filters=groups * filters)


def classify(problem: Problem) -> dict[str, str]:
    """Return the class that each parameter of a problem is in: how much of the space a run reached is counted by it."""
    return {name: rule(problem) for name, rule in _RULES.items()}


def impossible(row: Mapping[str, str]) -> bool:
    """Whether classes exclude each other: what no problem can be in at once; a row may name some parameters only."""
    return any(row.get(one) in ones and row.get(other) in others for one, ones, other, others in _EXCLUSIONS)


_ABOVE_ONE = ("few", "odd", "vector", "around", "wide")
_EXCLUSIONS: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    # a depthwise group has one channel, and one filter unless it has a multiplier
    ("groups", ("depthwise", "multiplier"), "channels", _ABOVE_ONE),
    ("groups", ("depthwise",), "filters", _ABOVE_ONE),
    ("groups", ("multiplier",), "filters", ("one", "odd", "vector", "around", "wide")),
    ("padding", ("same",), "stride", ("two", "more", "above-kernel", "unequal")),
    ("padding", ("same",), "kernel", ("unit",)),
    ("padding", ("below-dilation",), "dilation", ("one", "unequal")),
    ("ndim", ("1",), "stride", ("unequal",)),
    ("ndim", ("1",), "dilation", ("unequal",)),
    ("ndim", ("1",), "padding", ("unequal",)),
    ("ndim", ("1",), "kernel", ("mixed", "small")),
    ("ndim", ("1",), "size", ("uneven",)),
    # a large kernel's reach is more than a small input holds
    ("kernel", ("large",), "size", ("unit-axis",)),
    ("kernel", ("full",), "size", ("vector", "uneven", "unit-axis", "large")),
)


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
        return "same"
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
    dense = (s - r + 1 for s, r in zip(p.size, p.reach, strict=True))
    if any(v - 1 <= positions <= v + 2 for positions in dense for v in _VECTORS):
        return "vector"
    if max(p.size) > 23:
        return "uneven"
    return "tiny" if prod(p.output) <= 16 else "narrow"


_RULES: dict[str, Callable[[Problem], str]] = {
    "ndim": lambda p: str(p.ndim),
    "dtype": lambda p: "integer" if p.dtype in _INTEGERS else p.dtype,
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


def seeded(seed: int | str) -> Chooser:
    """Return a chooser that draws from a seeded generator; `random.Random` keeps its stream between Pythons."""
    from random import Random

    generator = Random(seed)  # noqa: S311 - no secret hangs on it

    class Seeded:
        def pick(self, options: Sequence[T]) -> T:
            return options[int(generator.random() * len(options))]

        def integer(self, low: int, high: int) -> int:
            return low + int(generator.random() * (high - low + 1))

    return Seeded()
