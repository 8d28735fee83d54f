"""What a target does not take, and says so: by NotImplementedError, or where it raises on the plainest such problem."""

from __future__ import annotations

import dis
from pathlib import Path
from types import TracebackType

__all__ = ["raised_at"]

_OWN = str(Path(__file__).parent.parent)


def raised_at(error: BaseException) -> str:
    """Lines through which the target came to a ``raise`` or an ``assert`` of its own: "file:line file:line".

    Empty where an exception comes from elsewhere, as a mistake's does, from the interpreter or from compiled code; and
    where it is none by which arguments are refused.
    """
    if not isinstance(error, AssertionError | TypeError | ValueError):
        return ""
    lines: list[str] = []
    last: TracebackType | None = None
    trace = error.__traceback__
    while trace is not None:
        last, file = trace, trace.tb_frame.f_code.co_filename
        lines = [] if file.startswith(_OWN) else [*lines, f"{file}:{trace.tb_lineno}"]
        trace = trace.tb_next
    meant = last is not None and dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
    return " ".join(lines) if meant else ""
