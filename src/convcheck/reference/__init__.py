"""The oracles: convolution written for reading, to check everything faster against."""

from __future__ import annotations

from convcheck.reference.textbook import corr1d, corr2d, corr3d

__all__ = ["corr1d", "corr2d", "corr3d"]
