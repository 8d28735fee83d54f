"""The table of classes: for each parameter, the kinds of value at which engines break.

Weights come from where released engines broke: unequal axes, two-sided padding, channels that are no multiple of a
vector width, stride together with dilation, kernels as large as the input.
"""

from __future__ import annotations

from collections.abc import Mapping

from convcheck.dtypes import DTYPES

__all__ = [
    "BETWEEN",
    "CLASSES",
    "COUNTS",
    "DTYPES_OF",
    "ENOUGH",
    "GRADIENTS",
    "GROUPS",
    "INTEGERS",
    "KERNELS",
    "LONG",
    "MORE",
    "NEEDS",
    "PLANES",
    "SQUARES",
    "UNEVEN",
    "VECTORS",
    "WEIGHTS",
    "impossible",
]

#: padding by a name, which stands for what keeps sizes
_SAME = ("same", "same-lower", "same-strided")

#: classes by parameter, simplest first; a class that needs a feature of the engine is listed in `NEEDS`
CLASSES: dict[str, tuple[str, ...]] = {
    "ndim": ("1", "2", "3"),
    "dtype": ("f32", "f64", "f16", "bf16", "integer", "complex"),
    "batch": ("one", "several"),
    "channels": ("one", "few", "odd", "vector", "around", "wide"),
    "filters": ("one", "few", "odd", "vector", "around", "wide"),
    "groups": ("one", "several", "depthwise", "multiplier"),
    "kernel": ("small", "unit", "even", "odd", "mixed", "full", "large"),
    "stride": ("one", "two", "more", "above-kernel", "unequal"),
    "dilation": ("one", "two", "more", "unequal"),
    "padding": ("none", "symmetric", "unequal", "two-sided", "below-dilation", "at-least-kernel", *_SAME),
    "size": ("tiny", "narrow", "vector", "uneven", "unit-axis", "plane", "large"),
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
    **{("padding", c): ("padding",) for c in CLASSES["padding"][1:] if c not in _SAME},
    ("padding", "unequal"): ("padding", "unequal-padding"),
    ("padding", "two-sided"): ("padding", "two-sided-padding"),
    ("padding", "same"): ("same-padding",),
    ("padding", "same-lower"): ("same-padding", "same-lower"),
    ("padding", "same-strided"): ("same-padding", "stride", "strided-same"),
    ("bias", "yes"): ("bias",),
}

#: classes for which one other feature is enough
ENOUGH = {("groups", "depthwise"): "depthwise", ("groups", "multiplier"): "multiplier"}

INTEGERS = tuple(name for name, dtype in DTYPES.items() if dtype.kind == "i")
#: the dtypes that a class stands for
DTYPES_OF: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name, dtype in DTYPES.items() if dtype.kind == "f"},
    "integer": INTEGERS,
    "complex": tuple(name for name, dtype in DTYPES.items() if dtype.kind == "c"),
}

#: how many channels or filters a group has, by class
COUNTS: dict[str, tuple[int, ...]] = {
    "one": (1,),
    "few": (2, 3, 4),
    "odd": (5, 6, 7, 9),
    "vector": (8, 16),
    "around": (10, 11, 12, 13, 15, 17, 31, 33),
    "wide": (32, 64, 48, 63, 64, 65, 128, 129, 257),
}

#: all counts of a class, where it has more than those
BETWEEN: dict[str, tuple[int, ...]] = {
    "around": tuple(n for n in (*range(10, 32), 33) if n != 16),
    "wide": tuple(n for n in range(32, 301) if n != 33),
}

#: how many groups of several channels there are, few likelier
GROUPS = (2, 3, 4, 2, 3, 4, 5, 8, 2, 3, 16, 32)

#: sizes of all axes of a plane, smallest and largest, by the number of axes
PLANES: dict[int, tuple[int, int]] = {2: (24, 48), 3: (10, 14)}

#: sizes of squares and cubes at which networks work, and of whole tiles, by class and number of axes
SQUARES: dict[tuple[str, int], tuple[int, ...]] = {
    ("narrow", 2): (7, 8, 14, 16),
    ("narrow", 3): (7, 8),
    ("plane", 2): (28, 32, 56),
    ("plane", 3): (14,),
}

#: strides, dilations and paddings that differ from axis to axis, small ones likelier
UNEVEN: dict[str, tuple[int, ...]] = {
    "stride": (1, 2, 3, 1, 2, 3, 4, 5),
    "dilation": (1, 2, 3, 1, 2, 3, 4, 7),
    "padding": (0, 1, 2, 3, 0, 1, 2, 3, 4, 5),
}

#: strides and dilations above two, alike on all axes, small ones likelier; the last two make inputs large
MORE = (3, 3, 4, 5, 3, 4, 6, 8, 3, 4, 12, 17)

#: sizes of a kernel along an axis, by class; a full one has those of a small one
KERNELS: dict[str, tuple[int, ...]] = {
    "small": (2, 1, 3),
    "unit": (1,),
    "even": (2, 4, 6),
    "odd": (3, 5, 7),
    "large": (8, 9, 11, 13, 17, 10, 12, 14, 15, 16, 31),
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
VECTORS = (8, 16, 32, 64)

#: lengths of long axes, by the number of axes
LONG: dict[int, tuple[int, ...]] = {
    1: (127, 128, 129, 255, 256, 257, 300, 513, 1025, 2049, 4099),
    2: (127, 128, 129, 255, 256, 257, 300, 513, 1025, 2049),
    3: (127, 128, 129, 255, 256, 257, 300),
}

#: gradients are those of floating-point operands, without a bias
GRADIENTS = {"dtype": ("f32", "f64", "f16", "bf16"), "bias": ("no",)}


_ABOVE_ONE = ("few", "odd", "vector", "around", "wide")
_EXCLUSIONS: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    # a depthwise group has one channel, and one filter unless it has a multiplier
    ("groups", ("depthwise", "multiplier"), "channels", _ABOVE_ONE),
    ("groups", ("depthwise",), "filters", _ABOVE_ONE),
    ("groups", ("multiplier",), "filters", ("one", "odd", "vector", "around", "wide")),
    ("padding", ("same", "same-lower"), "stride", ("two", "more", "above-kernel", "unequal")),
    ("padding", ("same-strided",), "stride", ("one",)),
    ("padding", _SAME, "kernel", ("unit",)),
    ("padding", ("below-dilation",), "dilation", ("one", "unequal")),
    ("ndim", ("1",), "stride", ("unequal",)),
    ("ndim", ("1",), "dilation", ("unequal",)),
    ("ndim", ("1",), "padding", ("unequal",)),
    ("ndim", ("1",), "kernel", ("mixed", "small")),
    ("ndim", ("1",), "size", ("uneven", "plane")),
    # a large kernel's reach is more than a small input holds
    ("kernel", ("large",), "size", ("unit-axis", "plane")),
    ("kernel", ("full",), "size", ("vector", "uneven", "unit-axis", "plane", "large")),
)

#: by (parameter, class): the classes of other parameters that it excludes
_CLASHES: dict[tuple[str, str], list[tuple[str, tuple[str, ...]]]] = {}
for _one, _classes, _other, _excluded in _EXCLUSIONS:
    for _class in _classes:
        _CLASHES.setdefault((_one, _class), []).append((_other, _excluded))


def impossible(row: Mapping[str, str]) -> bool:
    """Whether classes exclude each other: what no problem can be in at once; a row may name some parameters only."""
    clashes = (clash for item in row.items() if item in _CLASHES for clash in _CLASHES[item])
    return any(row.get(other) in excluded for other, excluded in clashes)
