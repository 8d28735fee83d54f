"""What an engine supports, and so what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass

from convcheck.problem import Map, Problem

__all__ = ["FEATURES", "LARGER_KERNELS", "Capabilities"]

#: what an engine may take beyond one image, one channel and one filter
FEATURES = (
    "batch",  # more than one image
    "channels",  # more than one channel and filter
    "groups",
    "depthwise",  # as many groups as channels, also where several channels of one group aren't taken
    "multiplier",  # several filters for each of these
    "bias",
    "stride",
    "padding",
    "dilation",
    "unequal-stride",  # stride that differs from axis to axis
    "unequal-padding",
    "unequal-dilation",
    "two-sided-padding",  # padding that differs from end to end
    "same-padding",  # padding by the name "same"
    "same-lower",  # by the name that puts the odd element at the low end
    "strided-same",  # by such a name, with a stride
    "output-padding",  # a transposed convolution's output_padding
)

#: what few take: in the mode "valid" of NumPy and SciPy, either operand may be the larger one
LARGER_KERNELS = "larger-kernels"


@dataclass(frozen=True)
class Capabilities:
    """What an engine supports, and so what it is judged on.

    ``dtypes`` are names from `convcheck.dtypes`; problems are kept below ``work_limit`` multiply-adds where their
    classes allow it. ``primary`` is the map that a call of the target computes: `Map.GRAD_INPUT` if it is a transposed
    convolution. ``kernels`` are the sizes that a kernel may have along an axis, empty if it may have any. Channels and
    filters come in ``multiples``.
    """

    ndims: tuple[int, ...]
    dtypes: tuple[str, ...]
    features: frozenset[str] = frozenset()
    maps: tuple[Map, ...] = (Map.FORWARD,)
    work_limit: int = 1_000_000
    primary: Map = Map.FORWARD
    kernels: tuple[int, ...] = ()
    multiples: tuple[int, int] = (1, 1)

    def admits(self, problem: Problem) -> str:
        """Return what a problem needs and the engine lacks, or an empty string."""
        uneven = {name: len(set(getattr(problem, name))) > 1 for name in ("stride", "padding", "dilation")}
        uneven["padding"] &= not problem.same
        alone = problem.groups > 1 and problem.channels_per_group == 1
        apart = alone and ("multiplier" if problem.filters_per_group > 1 else "depthwise") in self.features
        needs = {
            "batch": problem.batch != 1,
            "channels": max(problem.channels, problem.filters) > 1 and not apart,
            "groups": problem.groups > 1 and not apart,
            "bias": problem.bias,
            "stride": max(problem.stride) > 1,
            "padding": any(map(any, problem.padding)) and not problem.same,
            "dilation": max(problem.dilation) > 1,
            **{f"unequal-{name}": wanted for name, wanted in uneven.items()},
            "two-sided-padding": any(low != high for low, high in problem.padding) and not problem.same,
            "same-padding": problem.same,
            "same-lower": problem.lower,
            "strided-same": problem.same and max(problem.stride) > 1,
            "output-padding": self.primary is Map.GRAD_INPUT and any(problem.leftover),
        }
        lacking = [name for name, wanted in needs.items() if wanted and name not in self.features]
        lacking += [f"{problem.ndim} spatial axes"] * (problem.ndim not in self.ndims)
        lacking += [problem.dtype] * (problem.dtype not in self.dtypes)
        for name, count in zip(("channels", "filters"), self.multiples, strict=True):
            lacking += [f"{name} in other numbers than multiples of {count}"] * (getattr(problem, name) % count > 0)
        return ", ".join(lacking)
