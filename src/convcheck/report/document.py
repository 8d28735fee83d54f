"""The report that a program reads: one JSON document, whose schema is in docs/report-schema.md."""

from __future__ import annotations

import json
import math
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import convcheck
from convcheck.dtypes import name_of
from convcheck.laws import BY_NAME
from convcheck.report.model import LawResult, Results, Violation
from convcheck.report.replay import Replay

__all__ = ["SCHEMA", "document", "write"]

Array = np.ndarray[Any, Any]
Json = dict[str, Any]

#: changes when a reader of the old one would misread the new one; fields may be added without
SCHEMA = "convcheck-report/1"
#: arrays with more elements are given by their shape and their worst element only
LISTED = 4096


def document(report: Results, options: Mapping[str, Any], replay: Replay) -> Json:
    """Return the report as what JSON can hold."""
    return {
        "schema": SCHEMA,
        "target": report.target,
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "versions": {
            "convcheck": convcheck.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": platform.platform(),
            "engine": list(report.versions),
        },
        "options": dict(options),
        "inferred": list(report.notes),
        "profile": report.profile,
        "seed": report.seed,
        "laws": [_law(result, replay) for result in report.results],
        "judged": report.judged,
        "reached": {
            str(strength): {"reached": reached, "possible": possible}
            for strength, (reached, possible) in report.reached.items()
        },
        "interrupted": report.interrupted,
        "seconds": report.seconds,
    }


def write(path: Path, content: Json) -> None:
    """Write a document whole or not at all: a reader never sees half of one."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        _as_open_would(Path(temporary))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _as_open_would(path: Path) -> None:
    """Give a temporary file, which only its owner may read, the mode that any new file gets."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _law(result: LawResult, replay: Replay) -> Json:
    law = BY_NAME.get(result.law)
    return {
        "law": result.law,
        "chapter": law.chapter if law else "",
        "equation": law.equation if law else "",
        "status": result.status,
        "reason": result.reason,
        "judged": result.judged,
        "failed": result.failed,
        "nontrivial": result.nontrivial,
        "skipped": dict(result.skipped),
        "worst": _number(result.worst),
        "seconds": result.seconds,
        "violation": _violation(result.violation, replay) if result.violation else None,
    }


def _violation(violation: Violation, replay: Replay) -> Json:
    return {
        "case": str(violation.case),
        "found": str(violation.found),
        "reason": violation.reason,
        "ratio": _number(violation.ratio),
        "index": list(violation.index),
        "expected": _array(violation.expected, violation.index),
        "got": _array(violation.got, violation.index),
        "failed": violation.failed,
        "repeated": violation.repeated,
        "words": violation.words,
        "condition": violation.condition,
        "replay": replay(violation.case),
    }


def _array(array: Array | None, index: tuple[int, ...]) -> Json | None:
    """Shape, dtype, the element where the error is largest, and all elements where they are few."""
    if array is None:
        return None
    inside = len(index) == array.ndim and all(i < s for i, s in zip(index, array.shape, strict=True))
    return {
        "shape": list(array.shape),
        "dtype": name_of(array.dtype),
        "at_index": _number(array[index]) if inside and array.size else None,
        "values": _nested(array) if array.size <= LISTED else None,
    }


def _nested(array: Array) -> Any:
    return [_nested(part) for part in array] if array.ndim else _number(array[()])


def _number(value: Any) -> Any:
    """Return a number as JSON has it: infinities, NaN and complex numbers are strings."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, complex | np.complexfloating):
        return str(complex(value))
    if isinstance(value, int | np.integer):
        return int(value)
    plain = float(value)
    if math.isnan(plain):
        return "NaN"
    return plain if math.isfinite(plain) else "Infinity" if plain > 0 else "-Infinity"
