"""A violation in words and numbers, so that a person can work it out by hand and run it again."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np
from rich.text import Text

from convcheck.cases import LETTERS
from convcheck.laws import BY_NAME
from convcheck.report.grouping import Group
from convcheck.report.lines import labelled, verbatim
from convcheck.report.matrices import Block, beside, blocks, is_small, number
from convcheck.report.model import Violation
from convcheck.report.replay import Replay

__all__ = ["group_lines", "how_often", "violation_lines"]

Array = np.ndarray[Any, Any]
INDENT = 2
NOT_TAKEN = "a problem that isn't taken is refused by NotImplementedError, which is counted and no violation"


def group_lines(group: Group, width: int, replay: Replay) -> Iterator[Text]:
    """Tell the most telling violation of a group in full, and each of the others on one line."""
    yield from violation_lines(group.lead, width, replay)
    if group.rest:
        others = "another law fails" if len(group.rest) == 1 else f"{len(group.rest)} other laws fail"
        yield Text()
        yield Text(f"  {others}, {'evidently' if group.evident else 'perhaps'} for the same reason:")
        yield from (Text(f"    {violation.case}") for violation in group.rest)


def violation_lines(violation: Violation, width: int, replay: Replay) -> Iterator[Text]:
    """Tell a violation in full: equation, case, what is wrong, operands, results, how to replay it."""
    yield Text(f"VIOLATED: {violation.law}", "bold red")
    yield from labelled("law", violation.equation, width)
    yield verbatim("case", str(violation.case), style="bold")
    yield from labelled("fails", _what(violation), width)
    if violation.failed < violation.repeated:
        yield from labelled("how often", how_often(violation), width)
    yield from _numbers(violation, width)
    if violation.words:
        yield from labelled("diagnosis", violation.words, width, style="bold")
    if violation.condition:
        yield from labelled("condition", violation.condition, width)
    if violation.reason.startswith("raised "):
        yield from labelled("hint", NOT_TAKEN, width)
    command = replay(violation.case)
    if command:
        yield verbatim("replay", command, style="cyan")


def how_often(violation: Violation) -> str:
    """How many of the repetitions failed."""
    if not violation.failed:
        return f"failed in the run, after other calls, and in none of {violation.repeated} repetitions by itself"
    counts = f"fails {violation.failed} of {violation.repeated} repetitions"
    return f"{counts}: the same call gives different results"


def _what(violation: Violation) -> str:
    """Return the reason and, where numbers differ, by how much."""
    if not _differs(violation):
        return violation.reason
    if isfinite(violation.ratio):
        return f"{violation.reason}; the largest error is {_times(violation.ratio)} times its bound"
    if not _finite(violation):
        return f"{violation.reason}; one of the two values is no finite number"
    return f"{violation.reason}; no error is allowed here"


def _differs(violation: Violation) -> bool:
    """Whether it is the numbers that are wrong, as in ``3 of 9 elements differ``."""
    return violation.expected is not None and violation.reason[:1].isdigit()


def _finite(violation: Violation) -> bool:
    """Whether both values at the worst place are finite."""
    sides = (violation.expected, violation.got)
    return all(side is not None and bool(np.isfinite(complex(side[violation.index]))) for side in sides)


def _times(ratio: float) -> str:
    return f"{ratio:,.3g}" if ratio < 1000 else f"{ratio:.3g}" if ratio >= 1e9 else f"{ratio:,.0f}"


# -- numbers -------------------------------------------------------------------------------------------------


def _numbers(violation: Violation, width: int) -> Iterator[Text]:
    """Operands, expected and got: as matrices where they are small, else the place where they differ most."""
    room = width - INDENT
    shown = [*_operands(violation, room), *_results(violation, room)]
    if shown:
        yield Text()
        yield from (Text(" " * INDENT + line) for line in beside(shown, room))
        yield Text()
    yield from _worst(violation, width)


def _operands(violation: Violation, room: int) -> Iterator[Block]:
    """Blocks of the operands; none where the law makes its own."""
    case = violation.case
    if case.law in BY_NAME and BY_NAME[case.law].fills == "none":
        return
    for role, array in zip(case.roles, case.operands(), strict=False):
        if array is None:
            continue
        if is_small([array], room):
            yield from blocks(LETTERS[role], array)
        else:
            yield Block(LETTERS[role], (f"{_sizes(array)}, as the case says",))


def _results(violation: Violation, room: int) -> Iterator[Block]:
    """Blocks of both sides; none where shape or dtype is what is wrong, and the numbers say nothing."""
    expected, got = violation.expected, violation.got
    if not _differs(violation) or expected is None or got is None or not is_small([expected, got], room):
        return
    bits = "bit pattern" in violation.reason
    yield from blocks("expected", expected, bits=bits)
    yield from blocks("got", got, bits=bits)


def _worst(violation: Violation, width: int) -> Iterator[Text]:
    """Where the error is largest, if there is a choice."""
    expected, got, index = violation.expected, violation.got, violation.index
    if not _differs(violation) or expected is None or got is None or not index:
        return
    if expected.size == 1 and is_small([got], width):
        return
    values = f"expected {number(expected[index])}, got {number(got[index])}"
    yield from labelled("worst at", f"{list(index)}: {values}", width)


def _sizes(array: Array) -> str:
    return "x".join(map(str, array.shape)) + " elements"
