"""Violations that seem to have one reason, told once: one mistake breaks a dozen laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convcheck.laws import BY_NAME
from convcheck.problem import Map
from convcheck.report.model import Violation
from convcheck.shrink import complexity

__all__ = ["Group", "grouped"]

#: a violation of it says what is wrong with single numbers, worked out on the blackboard
TELLING = "definition"
VALUES = "values"
#: laws of the contract that compare what comes back with the definition's, call after call
OF_RESULTS = ("stateless", "revisits")


@dataclass(frozen=True)
class Group:
    """Violations that seem to have one reason: the most telling one, and the others.

    ``evident`` says that they do: wrong values alone, without a diagnosis, may have several.
    """

    lead: Violation
    rest: tuple[Violation, ...] = ()
    evident: bool = True


def grouped(violations: Sequence[Violation]) -> tuple[Group, ...]:
    """Put violations together by what went wrong, those with the most telling first."""
    causes = {_cause(violation) for violation in violations if _chapter(violation) != "Contract"} - {""}
    found: dict[tuple[str, ...], list[Violation]] = {}
    for violation in violations:
        found.setdefault(_kind(violation, causes), []).append(violation)
    groups = [_group(members, evident=kind[:2] != (VALUES, "")) for kind, members in found.items()]
    return tuple(sorted(groups, key=lambda group: group.lead.law != TELLING))


def _group(members: list[Violation], *, evident: bool) -> Group:
    lead = min(members, key=_order)
    return Group(lead, tuple(v for v in members if v is not lead), evident)


def _order(violation: Violation) -> tuple[bool, tuple[float, ...]]:
    return violation.law != TELLING, complexity(violation.case)


def _kind(violation: Violation, causes: set[str]) -> tuple[str, ...]:
    """Say what went wrong: how it was raised, which type came back, or what the diagnosis says of what came back.

    A law of the contract speaks of something that no other law speaks of, so that wrong values there are a
    matter of their own, but for results whose diagnosis is among the ``causes`` that break other laws; so is what
    comes and goes.
    """
    reason = violation.reason
    if violation.failed < violation.repeated:
        return ("comes and goes",)
    misshapen = reason.startswith("the shape is ")
    if not (misshapen or reason[:1].isdigit()):  # not "3 of 9 elements differ"
        return (reason.split(":")[0].split("(")[0],)
    shared = _cause(violation) in causes and violation.law in OF_RESULTS
    if _chapter(violation) == "Contract" and not (misshapen or shared):
        return (VALUES, _cause(violation), violation.law)
    return (VALUES, _cause(violation) or "the shape is wrong" * misshapen)


def _cause(violation: Violation) -> str:
    """Return the diagnosis, where it explains anything, without map and exceptions: a mistake shows on all maps."""
    which, _, words = violation.words.partition(": ")
    words = (words if which in set(Map) else violation.words).partition(", but ")[0]
    return "" if words.startswith("no known mistake") else words


def _chapter(violation: Violation) -> str:
    return BY_NAME[violation.law].chapter if violation.law in BY_NAME else ""
