"""convcheck's proof of its own detection: planted faults, which laws must find, and odd but correct engines."""

from __future__ import annotations

from convcheck.selftest.correct import CORRECT
from convcheck.selftest.fault import KINDS, Fault
from convcheck.selftest.faults import FAULTS

__all__ = ["CORRECT", "FAULTS", "KINDS", "Fault"]
