"""The element types under test: how they are called, how NumPy holds them, what they can represent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from convcheck.errors import UsageError

__all__ = ["DTYPES", "REAL", "Dtype", "check_names", "name_of"]


@dataclass(frozen=True)
class Dtype:
    """One element type.

    ``precision`` is the number of bits p for which all integers up to 2**p are representable, in each part of a complex
    number; ``exponents``
    bounds the powers of two at which `operands` places floating-point values, so that products of two stay
    clear of overflow and of subnormals; ``accumulator`` is the narrowest type in which a library that
    makes no statement of its own is expected to keep the sums.
    """

    name: str
    numpy: np.dtype
    precision: int
    exponents: tuple[int, int]
    accumulator: str

    @property
    def kind(self) -> str:
        """``f`` floating point, ``i`` integer, ``c`` complex."""
        return {"i": "i", "u": "i", "c": "c"}.get(self.numpy.kind, "f")

    @property
    def part(self) -> np.dtype:
        """The type of a number, or of the real and the imaginary part of a complex one."""
        return np.dtype(f"f{self.numpy.itemsize // 2}") if self.kind == "c" else self.numpy

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next larger number: 2**-precision; 0 for integers."""
        return 0.0 if self.kind == "i" else 2.0**-self.precision

    @property
    def smallest_subnormal(self) -> float:
        """The smallest positive number; 0 for integers."""
        return 0.0 if self.kind == "i" else float(ml_dtypes.finfo(self.part).smallest_subnormal)

    @property
    def largest(self) -> float:
        """The largest finite number."""
        info = np.iinfo(self.numpy) if self.kind == "i" else ml_dtypes.finfo(self.part)
        return float(info.max)


DTYPES = {
    dtype.name: dtype
    for dtype in (
        Dtype("f64", np.dtype(np.float64), 53, (-300, 300), "f64"),
        Dtype("f32", np.dtype(np.float32), 24, (-40, 40), "f32"),
        Dtype("f16", np.dtype(np.float16), 11, (-6, 3), "f32"),
        Dtype("bf16", np.dtype(ml_dtypes.bfloat16), 8, (-40, 40), "f32"),
        Dtype("i64", np.dtype(np.int64), 62, (0, 0), "i64"),
        Dtype("i32", np.dtype(np.int32), 31, (0, 0), "i32"),
        Dtype("i16", np.dtype(np.int16), 15, (0, 0), "i16"),
        Dtype("i8", np.dtype(np.int8), 7, (0, 0), "i8"),
        Dtype("u8", np.dtype(np.uint8), 8, (0, 0), "u8"),
        Dtype("complex64", np.dtype(np.complex64), 24, (-40, 40), "complex64"),
        Dtype("complex128", np.dtype(np.complex128), 53, (-300, 300), "complex128"),
    )
}
#: names of all but the complex ones
REAL = tuple(name for name, dtype in DTYPES.items() if dtype.kind != "c")
_NAMES = {dtype.numpy: dtype.name for dtype in DTYPES.values()}


def name_of(dtype: np.dtype) -> str:
    """Return convcheck's name of a NumPy dtype, or NumPy's own where convcheck has none."""
    return _NAMES.get(dtype, str(dtype))


def check_names(names: Iterable[str]) -> None:
    """Refuse names of dtypes that do not exist.

    Raises
    ------
    UsageError
        If there is one; the message lists those that exist, and says which is meant by NumPy's name of one.
    """
    meant = {str(dtype.numpy): f" (that is {dtype.name})" for dtype in DTYPES.values()}
    for name in names:
        if name not in DTYPES:
            raise UsageError(f"no dtype is called {name!r}{meant.get(name, '')}; there are {', '.join(DTYPES)}")
