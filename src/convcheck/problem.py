"""What is computed: sizes, stride, padding, dilation, groups, dtype, as one frozen value and one short line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from math import prod
from typing import Any, Self

from convcheck.dtypes import DTYPES
from convcheck.errors import ParseError, ShapeError

__all__ = ["Map", "Problem", "output_size", "same_padding"]

Pairs = tuple[tuple[int, int], ...]
Sizes = tuple[int, ...]


class Map(StrEnum):
    """The three bilinear maps of one relation, each a contraction of two roles, named by what it computes.

    The roles are ``x`` (input), ``w`` (weight) and ``y`` (output, or the gradient that arrives there).
    """

    FORWARD = "forward"
    GRAD_INPUT = "grad_input"
    GRAD_WEIGHT = "grad_weight"

    @property
    def roles(self) -> tuple[str, str]:
        """Roles of the two operands."""
        return {"forward": ("x", "w"), "grad_input": ("y", "w"), "grad_weight": ("y", "x")}[self.value]

    @property
    def result(self) -> str:
        """Role of what comes back."""
        return {"forward": "y", "grad_input": "x", "grad_weight": "w"}[self.value]

    @property
    def bias(self) -> str:
        """Role of a bias, one entry for each channel of the result."""
        return "xbias" if self is Map.GRAD_INPUT else "bias"


def output_size(
    size: int, kernel: int, *, stride: int = 1, padding: tuple[int, int] = (0, 0), dilation: int = 1
) -> int:
    """Positions that a dilated kernel finds in a padded axis: floor((S + lo + hi - d (k - 1) - 1) / s) + 1.

    Zero when the kernel's reach exceeds the padded axis. All sizes in elements. Source: Dumoulin and Visin,
    "A guide to convolution arithmetic for deep learning" (arXiv 1603.07285), relationship 15.
    """
    return max(0, (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1)


def same_padding(size: int, reach: int, *, stride: int = 1, lower: bool = False) -> tuple[int, int]:
    """Padding that leaves ceil(S / s) positions: max(0, (ceil(S / s) - 1) s + reach - S) elements in all.

    The odd one stands at the high end (TensorFlow's SAME, ONNX's SAME_UPPER, and "same" of torch, which has no stride
    there), or at the ``lower`` one (SAME_LOWER). Source: ONNX operators, Conv, ``auto_pad``.
    """
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A convolution problem. Prints and parses as one line: ``f32 n2 g1 c3 o4 i5x7 k3x3 s1x1 p0x0 d1x1``.

    Channels and filters are totals over all groups. ``padding`` holds (low, high) pairs in elements;
    ``same`` asks for padding by that name: the pairs are then what it stands for (`same_padding`), whatever was given;
    ``lower`` by the name that puts the odd element at the low end.

    Raises
    ------
    ShapeError
        If the sizes do not make a convolution: the message shows the problem.
    """

    size: Sizes
    kernel: Sizes
    stride: Sizes = ()
    padding: Pairs = ()
    dilation: Sizes = ()
    dtype: str = "f32"
    batch: int = 1
    groups: int = 1
    channels: int = 1
    filters: int = 1
    bias: bool = False
    same: bool = False
    lower: bool = False

    def __post_init__(self) -> None:
        """Fill in what was left out, and refuse what is no convolution."""
        for name, default in (("stride", 1), ("padding", (0, 0)), ("dilation", 1)):
            if not getattr(self, name):
                object.__setattr__(self, name, (default,) * self.ndim)
        for complaint, wrong in (
            ("has unequal numbers of axes", len({len(getattr(self, n)) for n in _PER_AXIS}) != 1),
            ("has no spatial axis", not self.size),
            (f"has a dtype other than {', '.join(DTYPES)}", self.dtype not in DTYPES),
            ("has a negative size", min(self.batch, *self.size, *_flat(self.padding), 0) < 0),
            (
                "has a zero where at least 1 is needed",
                min(self.groups, self.channels, self.filters, *self.kernel, *self.stride, *self.dilation) < 1,
            ),
            (
                "has groups that do not divide channels and filters",
                self.groups > 0 and bool(self.channels % self.groups or self.filters % self.groups),
            ),
        ):
            if wrong:
                raise ShapeError(f"the problem {self} {complaint}")
        object.__setattr__(self, "lower", self.same and self.lower)
        if self.same:
            axes = zip(self.size, self.reach, self.stride, strict=True)
            object.__setattr__(
                self, "padding", tuple(same_padding(i, r, stride=s, lower=self.lower) for i, r, s in axes)
            )

    # -- derived sizes -------------------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def channels_per_group(self) -> int:
        """Input channels that one filter sees."""
        return self.channels // self.groups

    @property
    def filters_per_group(self) -> int:
        """Filters that see one input channel."""
        return self.filters // self.groups

    @cached_property
    def reach(self) -> Sizes:
        """Extent of the dilated kernel along each axis, in elements: d (k - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @cached_property
    def output(self) -> Sizes:
        """Spatial sizes of the output (`output_size`)."""
        return tuple(
            output_size(i, k, stride=s, padding=p, dilation=d)
            for i, k, s, p, d in zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        )

    @cached_property
    def leftover(self) -> Sizes:
        """Elements at the end of each padded axis that no window reaches: (S + lo + hi - reach) mod s.

        A transposed convolution, which knows only the output's size, is told them as ``output_padding``.
        """
        padded = [s + sum(p) - r for s, p, r in zip(self.size, self.padding, self.reach, strict=True)]
        return tuple(rest % s for rest, s in zip(padded, self.stride, strict=True))

    @property
    def is_valid(self) -> bool:
        """Whether the dilated kernel fits into the padded input, so that every engine must take it."""
        return min(self.output) > 0 or min(self.size) == 0

    @cached_property
    def shapes(self) -> dict[str, Sizes]:
        """Shapes by role: x (N, C, *size), w (O, C/g, *kernel), y (N, O, *output), bias (O,), xbias (C,)."""
        return {
            "x": (self.batch, self.channels, *self.size),
            "w": (self.filters, self.channels_per_group, *self.kernel),
            "y": (self.batch, self.filters, *self.output),
            "bias": (self.filters,),
            "xbias": (self.channels,),
        }

    @property
    def work(self) -> int:
        """Multiply-adds of each of the three maps."""
        return self.batch * self.filters * self.channels_per_group * prod(self.kernel) * prod(self.output)

    def terms(self, which: Map = Map.FORWARD) -> int:
        """Most products that any one element of a map's result sums."""
        return {
            Map.FORWARD: self.channels_per_group * prod(self.kernel),
            Map.GRAD_INPUT: self.filters_per_group * prod(self.kernel),
            Map.GRAD_WEIGHT: self.batch * prod(self.output),
        }[which]

    def replace(self, **changes: Any) -> Self:
        """Return the problem with some fields changed."""
        return replace(self, **changes)

    # -- one line ------------------------------------------------------------------------------------

    def __str__(self) -> str:
        """One line, from which `parse` makes an equal problem."""
        words = [
            self.dtype,
            f"n{self.batch}",
            f"g{self.groups}",
            f"c{self.channels}",
            f"o{self.filters}",
            "i" + _times(self.size),
            "k" + _times(self.kernel),
            "s" + _times(self.stride),
            "p" + ("same-lower:" if self.lower else "same:" if self.same else "") + _times(self.padding),
            "d" + _times(self.dilation),
        ]
        return " ".join(words + ["bias"] * self.bias)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` wrote.

        Raises
        ------
        ParseError
            If a word cannot be read; the message shows it.
        """
        fields: dict[str, Any] = {}
        words = text.split()
        for number, word in enumerate(words):
            # i8, i16, i32 and i64 are sizes too: a dtype comes first, and another word gives the size
            is_size = word[0] == "i" and (number > 0 or not any(other[0] == "i" for other in words[1:]))
            name, value = _parse_word(word, is_dtype=word in DTYPES and not is_size)
            if name in fields:
                raise ParseError(f"{word!r} gives {name} a second time in the problem {text!r}")
            fields[name] = value
            if word.startswith("psame"):
                fields |= {"same": True, "lower": word.startswith("psame-lower:")}
        missing = {"size", "kernel"} - set(fields)
        if missing:
            raise ParseError(f"the problem {text!r} lacks {' and '.join(sorted(missing))}")
        return cls(**fields)


_PER_AXIS = ("size", "kernel", "stride", "padding", "dilation")
_COUNTS = {"n": "batch", "g": "groups", "c": "channels", "o": "filters"}
_SIZES = {"i": "size", "k": "kernel", "s": "stride", "d": "dilation"}
_WORD = re.compile(r"([ngco])(\d+)|([iksd])(\d+(?:x\d+)*)|p(?:same(?:-lower)?:)?(\d+(?::\d+)?(?:x\d+(?::\d+)?)*)")


def _parse_word(word: str, *, is_dtype: bool) -> tuple[str, Any]:
    if is_dtype:
        return "dtype", word
    if word == "bias":
        return "bias", True
    match = _WORD.fullmatch(word)
    if not match:
        raise ParseError(f"{word!r} is not a word of a problem such as 'f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1'")
    count, number, sizes, values, pads = match.groups()
    if count:
        return _COUNTS[count], int(number)
    if sizes:
        return _SIZES[sizes], tuple(map(int, values.split("x")))
    return "padding", tuple(_pair(pad) for pad in pads.split("x"))


def _pair(text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    return int(low), int(high or low)


def _times(values: Sizes | Pairs) -> str:
    return "x".join(str(v) if isinstance(v, int) else str(v[0]) if v[0] == v[1] else f"{v[0]}:{v[1]}" for v in values)


def _flat(pairs: Pairs) -> list[int]:
    return [end for pair in pairs for end in pair]
