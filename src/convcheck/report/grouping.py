"""Violations that evidently have one reason, told once: one mistake breaks a dozen laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convcheck.laws import BY_NAME
from convcheck.report.model import Violation
from convcheck.shrink import complexity

__all__ = ["Group", "grouped"]

#: a violation of it says what is wrong with single numbers, worked out on the blackboard
TELLING = "definition"


@dataclass(frozen=True)
class Group:
    """Violations that evidently have one reason: the most telling one, and the others."""

    lead: Violation
    rest: tuple[Violation, ...] = ()


def grouped(violations: Sequence[Violation]) -> tuple[Group, ...]:
    """Put violations together by what went wrong, those with the most telling first."""
    found: dict[tuple[str, ...], list[Violation]] = {}
    for violation in violations:
        found.setdefault(_kind(violation), []).append(violation)
    groups = [_group(members) for members in found.values()]
    return tuple(sorted(groups, key=lambda group: group.lead.law != TELLING))


def _group(members: list[Violation]) -> Group:
    lead = min(members, key=_order)
    return Group(lead, tuple(v for v in members if v is not lead))


def _order(violation: Violation) -> tuple[bool, tuple[float, ...]]:
    return violation.law != TELLING, complexity(violation.case)


def _kind(violation: Violation) -> tuple[str, ...]:
    """Say what went wrong: how it was raised, which type came back, or, of values, what the diagnosis says.

    A law of the contract speaks of something that no other law speaks of, so that wrong values there are a
    matter of their own; so is what comes and goes.
    """
    reason = violation.reason
    if violation.failed < violation.repeated:
        return ("comes and goes",)
    if not reason[:1].isdigit():  # not "3 of 9 elements differ"
        return (reason.split(":")[0].split("(")[0],)
    chapter = BY_NAME[violation.law].chapter if violation.law in BY_NAME else ""
    return ("values", violation.words, violation.law if chapter == "Contract" else "")
