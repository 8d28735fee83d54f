"""Floating-point formats by the bits of their significands."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["FORMATS", "named", "rounded"]

Array = np.ndarray[Any, Any]

FORMATS = {3: "float8 e5m2", 4: "float8 e4m3", 8: "bfloat16", 11: "TF32 or float16", 24: "float32", 53: "float64"}


def named(bits: int) -> str:
    """Name a number of bits, and the formats that keep so many."""
    return f"{bits} bits ({FORMATS[bits]})" if bits in FORMATS else f"{bits} bits"


def rounded(values: Array, bits: int) -> Array:
    """Round to so many bits, to nearest even, with an unlimited exponent."""
    significand, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(significand, bits)), exponent - bits))
