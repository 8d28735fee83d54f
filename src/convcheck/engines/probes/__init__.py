"""Tiny calls that find out what a function takes: arrays, style, axes, parameter forms, dtypes, arithmetic, speed."""

from __future__ import annotations

from convcheck.engines.probes.prober import Prober

__all__ = ["Prober"]
