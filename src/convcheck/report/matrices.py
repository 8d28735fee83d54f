"""Small arrays as matrices to work with: integers as integers, floats with every digit that counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import prod
from typing import Any

import numpy as np

__all__ = ["SMALL", "Block", "beside", "blocks", "is_small", "number"]

Array = np.ndarray[Any, Any]

#: largest number of elements that are printed
SMALL = 64
#: integers above this are written as floating-point numbers, where they are ones
WHOLE = 1e16
GAP = "   "


def number(value: Any) -> str:
    """Write a whole number without a point, any other with the digits that tell it from its neighbours."""
    if isinstance(value, bool | np.bool_):
        return str(value)
    if isinstance(value, complex | np.complexfloating):
        sign = "" if np.signbit(value.imag) else "+"
        return f"{number(value.real)}{sign}{number(value.imag)}j"
    if not np.isfinite(float(value)) or float(value) != int(value) or abs(int(value)) > WHOLE:
        return str(value)
    whole = str(int(value))
    return f"-{whole}" if value == 0 and np.signbit(float(value)) else whole


@dataclass(frozen=True)
class Block:
    """A titled matrix, as lines of equal width."""

    title: str
    rows: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """Title and rows, padded to the same width."""
        width = max(map(len, (self.title, *self.rows)))
        return tuple(line.ljust(width) for line in (self.title, *self.rows))

    @property
    def width(self) -> int:
        """Columns that the block takes."""
        return len(self.lines[0])


def blocks(title: str, array: Array, *, bits: bool = False) -> Iterator[Block]:
    """One block for each matrix along the last two axes, with its index in the title where there are several.

    Where all spatial axes have length 1, batch and channels make one matrix. ``bits`` writes unsigned integers in
    hexadecimal: they are bit patterns.
    """
    if array.size == 0:
        yield Block(title, (f"empty, of shape {array.shape}",))
        return
    table = array.reshape((1,) * max(0, 2 - array.ndim) + array.shape)
    write = hex if bits and array.dtype.kind == "u" else number
    if prod(table.shape[2:]) == 1 and table.ndim > 2 and table.size > 1:
        title += f"[:, :{', 0' * (table.ndim - 2)}]"
        table = table.reshape(table.shape[:2])
    leading = table.shape[:-2]
    for index in np.ndindex(leading):
        where = "" if prod(leading) == 1 else f"[{', '.join(map(str, index))}]"
        yield Block(title + where, _aligned([[write(v) for v in row] for row in table[index]]))


def is_small(arrays: Sequence[Array | None], width: int) -> bool:
    """Whether arrays are there, and few and narrow enough to be printed."""
    for array in arrays:
        if array is None or array.size > SMALL:
            return False
        if any(block.width > width for block in blocks("", array)):
            return False
    return True


def beside(shown: Sequence[Block], width: int) -> Iterator[str]:
    """Lines of blocks, side by side as far as the width goes."""
    band: list[Block] = []
    for block in shown:
        if band and sum(b.width + len(GAP) for b in band) + block.width > width:
            yield from _joined(band)
            band = []
        band.append(block)
    yield from _joined(band)


def _joined(band: Sequence[Block]) -> Iterator[str]:
    for parts in zip_longest(*(block.lines for block in band)):
        cells = ((part or "").ljust(block.width) for part, block in zip(parts, band, strict=True))
        yield GAP.join(cells).rstrip()


def _aligned(cells: list[list[str]]) -> tuple[str, ...]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return tuple(" ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
