"""The space of problems: a table of classes at which engines break, and problems built from them, always valid.

A problem is built from one class a parameter by a chooser: nothing is drawn and then thrown away.
"""

from __future__ import annotations

from convcheck.space.choose import Chooser, seeded
from convcheck.space.classify import classify
from convcheck.space.networks import geometries, network_layers, varied
from convcheck.space.space import Space
from convcheck.space.table import CLASSES, NEEDS, impossible

__all__ = [
    "CLASSES",
    "NEEDS",
    "Chooser",
    "Space",
    "classify",
    "geometries",
    "impossible",
    "network_layers",
    "seeded",
    "varied",
]
