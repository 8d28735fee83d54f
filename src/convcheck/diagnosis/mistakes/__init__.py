"""The known mistakes, simplest first. To know one more, add it to the table of a family, or a family here."""

from __future__ import annotations

from collections.abc import Iterator

from convcheck.diagnosis.mistakes.axes import one_axis, other_axis
from convcheck.diagnosis.mistakes.bias import biases
from convcheck.diagnosis.mistakes.dropped import cut, dropped, flattened, repeats, single_taps
from convcheck.diagnosis.mistakes.groups import groups
from convcheck.diagnosis.mistakes.mistake import Family, Mistake, Scope
from convcheck.diagnosis.mistakes.roles import flips, permuted, repeated, shifts, transposed
from convcheck.diagnosis.mistakes.values import earlier, operands, results, scales

__all__ = ["FAMILIES", "Mistake", "Scope", "mistakes"]

FAMILIES: tuple[Family, ...] = (
    flips,
    biases,
    results,
    cut,
    one_axis,
    other_axis,
    transposed,
    groups,
    repeated,
    earlier,
    scales,
    operands,
    dropped,
    single_taps,
    repeats,
    flattened,
    permuted,
    shifts,
)


def mistakes(scope: Scope) -> Iterator[Mistake]:
    """Every known mistake that can be made there, in order of preference."""
    for family in FAMILIES:
        yield from family(scope)
