"""Smaller counterexamples: moves for the problem, moves for the operands, and the descent that tries them."""

from __future__ import annotations

from convcheck.shrink.descent import MOVES, complexity, shrink

__all__ = ["MOVES", "complexity", "shrink"]
