"""From wrong results to words: which mistake makes a convolution compute what it computes."""

from __future__ import annotations

from convcheck.diagnosis.diagnosis import BUT, Diagnosis, diagnose

__all__ = ["BUT", "Diagnosis", "diagnose"]
