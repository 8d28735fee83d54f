"""Build a problem from one class a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from convcheck.engines.capabilities import Capabilities
from convcheck.problem import Map, Problem, same_padding
from convcheck.space.choose import Chooser
from convcheck.space.table import (
    BETWEEN,
    COUNTS,
    DTYPES_OF,
    GROUPS,
    KERNELS,
    LONG,
    MORE,
    PLANES,
    SQUARES,
    UNEVEN,
    VECTORS,
)

__all__ = ["Builder"]

Sizes = tuple[int, ...]
#: multiply-adds from which on inputs may be so large as the largest strides and dilations make them
LARGE = 10_000


@dataclass
class Builder:
    """Makes the choices inside the classes ``cls``, for an engine, within a number of multiply-adds."""

    choose: Chooser
    cls: Mapping[str, str]
    offered: Capabilities
    limit: int

    def problem(self) -> Problem:
        """Choose kernel, dilation, stride and padding, and then all else."""
        ndim = int(self.cls["ndim"])
        kernel = self._kernel(ndim)
        dilation = self._per_axis("dilation", ndim)
        stride = self._stride(kernel)
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        same, lower = self._same()
        if same and self.cls["padding"] != "same-strided":
            stride = (1,) * ndim
        padding = tuple(map(same_padding, reach, reach)) if same else self._padding(reach, dilation)
        return self.around(kernel, stride, padding, dilation, same=same, lower=lower)

    def around(
        self,
        kernel: Sizes,
        stride: Sizes,
        padding: Sequence[tuple[int, int]],
        dilation: Sizes,
        *,
        same: bool = False,
        lower: bool = False,
    ) -> Problem:
        """Choose sizes for a geometry, then as many channels as the work allows."""
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        size = self._size(kernel, reach, stride, padding)
        if self.offered.primary is Map.GRAD_INPUT and "output-padding" not in self.offered.features:
            padded = [v + sum(p) - r for v, p, r in zip(size, padding, reach, strict=True)]
            size = tuple(v + -rest % s for v, rest, s in zip(size, padded, stride, strict=True))
        spatial = Problem(
            size=size, kernel=kernel, stride=stride, padding=tuple(padding), dilation=dilation, same=same, lower=lower,
            dtype=self._dtype(), bias=self.cls["bias"] == "yes",
        )  # fmt: skip
        return self._widen(spatial)

    def _same(self) -> tuple[bool, bool]:
        """Whether padding is asked for by a name, and by the name that puts the odd element at the low end."""
        name, features = self.cls["padding"], self.offered.features
        if name == "same-strided":
            return True, "same-lower" in features and self.choose.pick((False, True))
        return name == "same-lower" or (name == "same" and "same-padding" in features), name == "same-lower"

    def _dtype(self) -> str:
        among = DTYPES_OF[self.cls["dtype"]]
        return self.choose.pick([name for name in among if name in self.offered.dtypes]) if among[1:] else among[0]

    def _kernel(self, ndim: int) -> Sizes:
        pick, name = self.choose.pick, self.cls["kernel"]
        options = (4, 5) if name == "large" and ndim == 3 else KERNELS.get(name, KERNELS["small"])
        if allowed := self.offered.kernels:
            return tuple(pick([k for k in options if k in allowed] or allowed) for _ in range(ndim))
        sizes = [pick(options) for _ in range(ndim)]
        if pick((False, True)) and name in ("even", "odd", "small"):
            sizes = sizes[:1] * ndim
        if name == "mixed":
            axis = self.choose.integer(0, ndim - 1)
            sizes[axis], sizes[axis - 1] = 1, pick((2, 3, 4, 5)) if ndim > 1 else 1
        if name == "large" and ndim > 1 and pick((True, True, False)):
            sizes[self.choose.integer(0, ndim - 1)] = pick((1, 2, 3))
        return tuple(sizes)

    def _per_axis(self, parameter: str, ndim: int) -> Sizes:
        few = ndim == 3 or self.limit < LARGE
        name, more = self.cls[parameter], self.choose.pick(MORE[: 10 if few else 12])
        if name != "unequal" or ndim == 1:
            return ({"one": 1, "more": more}.get(name, 2),) * ndim
        return self._uneven(UNEVEN[parameter], ndim)

    def _uneven(self, options: Sequence[int], ndim: int) -> Sizes:
        """Values of which at least two differ."""
        sizes = [self.choose.pick(options) for _ in range(ndim)]
        if len(set(sizes)) == 1:
            sizes[self.choose.integer(0, ndim - 1)] = options[(options.index(sizes[0]) + 1) % len(options)]
        return tuple(sizes)

    def _stride(self, kernel: Sizes) -> Sizes:
        if self.cls["stride"] == "above-kernel":
            extra = self.choose.integer(1, 2)
            uneven = "unequal-stride" in self.offered.features
            return tuple((k if uneven else max(kernel)) + extra for k in kernel)
        return self._per_axis("stride", len(kernel))

    def _padding(self, reach: Sizes, dilation: Sizes) -> tuple[tuple[int, int], ...]:
        name, choose, ndim = self.cls["padding"], self.choose, len(reach)
        if name == "none":
            return ((0, 0),) * ndim
        uneven = "unequal-padding" in self.offered.features
        if name == "unequal" and ndim > 1:
            return tuple((p, p) for p in self._uneven(UNEVEN["padding"], ndim))
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

    def _size(self, kernel: Sizes, reach: Sizes, stride: Sizes, padding: Sequence[tuple[int, int]]) -> Sizes:
        name, choose, ndim = self.cls["size"], self.choose, len(kernel)
        least = [max(1, r - sum(p)) for r, p in zip(reach, padding, strict=True)]
        if self.cls["kernel"] == "full":
            return tuple(max(low, r) for low, r in zip(least, reach, strict=True))
        tiny = [choose.integer(low, low + 2 * s + 1) for low, s in zip(least, stride, strict=True)]
        special = choose.integer(0, ndim - 1)
        square, squares = choose.integer(0, 11), SQUARES.get((name, ndim), ())
        if 0 < square <= len(squares):
            return tuple(max(low, squares[square - 1]) for low in least)
        if name == "plane" and ndim in PLANES:
            tiny = [choose.integer(*PLANES[ndim]) for _ in range(ndim)]
        elif name == "narrow":
            tiny = [max(low, choose.integer(3, 23 if ndim < 3 else 9)) for low in least]
        elif name in ("vector", "large"):
            tiny[special] = self._long(ndim, stride[special], reach[special] - sum(padding[special]))
        elif name == "uneven":
            tiny[special] = choose.integer(24, 70)
        elif name == "unit-axis":
            tiny[special] = 1
        return tuple(map(max, tiny, least))

    def _long(self, ndim: int, stride: int, least: int) -> int:
        """Choose the size of a long axis: whole vectors, or nearly so, of outputs or of inputs."""
        pick, lengths = self.choose.pick, LONG[ndim]
        count = pick(VECTORS) + pick((0, -1, 1, 2)) if self.cls["size"] == "vector" else pick(lengths)
        size = (count - 1) * stride + least
        return pick((size, count)) if size <= lengths[-1] else count

    def _widen(self, spatial: Problem) -> Problem:
        """Choose batch, groups, channels and filters of the classes wanted, within the work that is left."""
        choose, cls = self.choose, self.cls
        limit = self.limit // 4 if cls["size"] == "plane" else self.limit  # large planes are enough to take time
        # large inputs take time too, also where wide strides leave few outputs
        left = max(1, limit // max(1, prod(spatial.output) * prod(spatial.kernel), 2 * prod(spatial.size)))
        groups = {"one": 1, "several": min(choose.pick(GROUPS), max(2, left))}.get(cls["groups"], 0)
        depthwise = groups == 0
        if depthwise:
            some = (2, 3) if "channels" in self.offered.features else (2, 3, 2, 3, 5, 8, 9, 16, 17, 33)
            groups = choose.pick(COUNTS[cls["channels"]] if cls["channels"] != "one" else some)
            multiplier = choose.pick((2, 3))  # also where it is not wanted: what is simpler must not take fewer choices
            channels, filters = 1, 1 if cls["groups"] == "depthwise" else multiplier
            groups = max(1, min(groups, left // filters))
            filters = 1 if groups == 1 else filters
        else:
            channels = self._fitting("channels", self._count("channels"), left // groups)
            count = self._count("filters")
            if choose.pick((False, True)) and cls["channels"] == cls["filters"]:  # axes that may be mistaken, too
                count = channels
            filters = self._fitting("filters", count, left // (groups * channels))
        batch = choose.pick((2, 3, 4, 5, 2, 3, 4, 9, 17, 33)) if cls["batch"] == "several" else 1
        alike = min(33, max(2, groups * filters))  # as many images as filters: axes that may be mistaken for each other
        batch = choose.pick((batch, alike, choose.integer(2, 33))) if batch > 1 else batch
        batch = max(1, min(batch, left // (groups * channels * filters)))
        return spatial.replace(batch=batch, groups=groups, channels=groups * channels, filters=groups * filters)

    def _fitting(self, parameter: str, count: int, most: int) -> int:
        """A count that is not too large, in the engine's multiples."""
        multiple = self.offered.multiples[parameter == "filters"]
        return max(multiple, min(-(-count // multiple) * multiple, most // multiple * multiple))

    def _count(self, parameter: str) -> int:
        """Choose a count of a class, as often one that engines are known for as any."""
        name = self.cls[parameter]
        return self.choose.pick(self.choose.pick((COUNTS[name], BETWEEN.get(name, COUNTS[name]))))
