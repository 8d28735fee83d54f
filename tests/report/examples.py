"""Reports made by hand."""

from __future__ import annotations

import numpy as np

from convcheck.cases import Case
from convcheck.report.model import LawResult, Violation
from convcheck.report.report import Report

LINE = "f32 n1 g1 c1 o1 i2x1 k2x1 s1x1 p0x0 d1x1 x=impulse@0,0,1,0 w=impulse@0,0,1,0"


def violation(law="definition", line=LINE, reason="1 of 1 elements differ", **changes):
    case = Case.parse(f"{law} {line}")
    fields = {
        "ratio": np.inf,
        "index": (0, 0, 0, 0),
        "expected": np.ones((1, 1, 1, 1), np.float32),
        "got": np.zeros((1, 1, 1, 1), np.float32),
        "failed": 20,
        "repeated": 20,
    }
    return Violation(law, "y = corr(x, w)", case, case, reason, **(fields | changes))


def without_arrays(law, reason, line=LINE, **changes):
    return violation(law, line, reason, expected=None, got=None, index=(), **changes)


def report(*results, **changes):
    fields = {
        "target": "ops:conv2d",
        "notes": ("arrays: numpy", "style: bare"),
        "versions": ("numpy 2.0.0",),
        "profile": "gate",
        "seed": 0,
        "results": results,
        "reached": {2: (10, 20), 3: (30, 40)},
        "seconds": 1.25,
    }
    return Report(**(fields | changes))


def holds(law="definition", judged=10, **changes):
    return LawResult(law, judged=judged, **({"nontrivial": judged} | changes))


def violated(law="definition", **changes):
    return LawResult(law, judged=10, failed=4, nontrivial=10, violation=violation(law, **changes))
