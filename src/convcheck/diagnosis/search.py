"""Which known mistake explains what was observed: on every wrong result, and best also on the right ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations, islice
from math import ceil
from typing import NamedTuple

from convcheck.diagnosis.evidence import Observation, work
from convcheck.diagnosis.mistakes import Mistake, Scope, mistakes
from convcheck.diagnosis.model import Model, predictions

__all__ = ["Explanation", "explain", "explains"]

Edit = Callable[[Model], Model | None]

#: numbers that wrong results must show before two mistakes at once are believed, of which there are thousands of pairs
ENOUGH = 30
#: above so many multiply-adds, only common mistakes are tried on a problem
LARGE = 30_000


class Explanation(NamedTuple):
    """A mistake, or two, and how many of the right results it predicts, too."""

    words: str
    edit: Edit
    right: int


def explain(scope: Scope, right: Sequence[Observation], *, pairs: bool) -> Explanation | None:
    """Find the simplest mistake, or two at once, that predicts every wrong result and the most right ones."""
    listed = list(mistakes(scope))
    if work(scope.failing[0].problem) > LARGE:
        listed = [m for m in listed if m.common]
    if not pairs:
        return _best(((m.words, m.edit) for m in listed), scope.failing, right)
    if sum(o.expected.size for o in scope.failing) < ENOUGH:
        return None
    failing = _richest_first(listed, scope.failing)
    return _best(_pairs(listed, failing), failing, right)


def _best(
    candidates: Iterable[tuple[str, Edit]], failing: Sequence[Observation], right: Sequence[Observation]
) -> Explanation | None:
    best: Explanation | None = None
    for words, edit in candidates:
        if not _explains_all(edit, failing):
            continue
        agreeing = sum(explains(edit, o) is not False for o in right)
        # who is right under a condition that nobody knows is no judge of small differences
        if best is None or (len(right) - agreeing) * 4 <= len(right) - best.right:
            best = Explanation(words, edit, agreeing)
        if agreeing == len(right):
            break
    return best


def _explains_all(edit: Edit, failing: Sequence[Observation]) -> bool:
    """Whether an edit predicts every wrong result that it speaks of, and speaks of one."""
    spoken = False
    for observation in failing:
        verdict = explains(edit, observation)
        if verdict is False:
            return False
        spoken = spoken or verdict is True
    return spoken


def explains(edit: Edit, o: Observation) -> bool | None:
    """Whether an edit predicts what was observed; None where it says nothing."""
    model = edit(o.model)
    if model is None:
        return None
    if model.equals(o.model):
        return not o.wrong
    try:
        return any(o.agrees(prediction) for prediction in predictions(model))
    except (IndexError, ValueError):
        # the mistake cannot be made on these shapes: nothing comes out that could be right
        return False


def _pairs(listed: Sequence[Mistake], failing: Sequence[Observation]) -> Iterator[tuple[str, Edit]]:
    """Two mistakes at once, out of those that alone explain some wrong result, and out of the common ones."""
    few = _apart(failing)
    partial = list(islice((m for m in listed if any(explains(m.edit, o) for o in few)), 12))
    # where an edit changes nothing, it leaves a wrong result to the other one alone
    common = [m for m in listed if m.common and not _idle(m.edit, failing[0])]
    for one, other in (*combinations(partial, 2), *combinations(common, 2)):
        yield f"{one.words}, and {other.words}", _both(one.edit, other.edit)


def _richest_first(listed: Sequence[Mistake], failing: Sequence[Observation]) -> list[Observation]:
    """Put that wrong result first on which most of the common mistakes could show."""
    several = {o.problem: o for o in failing}.values()
    common = [m for m in listed if m.common]
    richest = max(several, key=lambda o: sum(not _idle(m.edit, o) for m in common))
    return [richest, *(o for o in failing if o is not richest)]


def _idle(edit: Edit, o: Observation) -> bool:
    model = edit(o.model)
    return model is None or model.equals(o.model)


def _apart(failing: Sequence[Observation]) -> list[Observation]:
    """Take a few wrong results, of problems as different as their number allows."""
    several = list({o.problem: o for o in failing}.values())
    return several[:: ceil(len(several) / 4)]


def _both(one: Edit, other: Edit) -> Edit:
    def edit(model: Model) -> Model | None:
        first = one(model)
        return None if first is None else other(first)

    return edit
