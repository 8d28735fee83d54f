"""What a target computes instead of the convolution that it was asked for, in words."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from convcheck.conditions import smallest_condition
from convcheck.diagnosis.complexes import complex_words
from convcheck.diagnosis.evidence import Observation, call, observe, observe_all, work
from convcheck.diagnosis.manners import equal, misread, written
from convcheck.diagnosis.mistakes import Scope
from convcheck.diagnosis.nearby import enlarged, templates
from convcheck.diagnosis.precision import lost_bits, probed
from convcheck.diagnosis.search import Explanation, explain, explains
from convcheck.diagnosis.triples import where_wrong, wrong_triples
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv, Engine
from convcheck.errors import UnsupportedError
from convcheck.problem import Map, Problem

__all__ = ["BUT", "Diagnosis", "diagnose"]

#: how a detail begins that takes something back
BUT = "but "


@dataclass(frozen=True)
class Diagnosis:
    """What was found, in words.

    ``known`` says that the words account for all wrong results; ``details`` are sentences that add to them: on
    what the target is right all the same, or, where nothing is known, single products that are wrong.
    """

    words: str
    known: bool
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        """All of it, a sentence a line."""
        return "\n  ".join((self.words, *self.details))


def diagnose(engine: Engine, problem: Problem, which: Map = Map.FORWARD) -> Diagnosis:
    """Say what a target computes instead of a map: on a problem, and on others near it that it takes.

    Nothing that the target does makes this raise. Where it is right on the problem itself, the others decide.
    """
    if which not in engine.capabilities.maps:
        return Diagnosis(f"does not offer {which}", known=False)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = _diagnose(Conv(engine, which), problem)
        except UnsupportedError as error:
            found = Diagnosis(f"takes a problem once, and not the next time: {error}", known=False)
    own = which is engine.capabilities.primary
    return found if own else replace(found, words=f"{which}: {found.words}")


def _diagnose(conv: Conv, problem: Problem) -> Diagnosis:
    if DTYPES[problem.dtype].kind == "c":
        return _of_complex(conv, problem)
    observations = list(_observations(conv, problem))
    if not observations:
        lacking = conv.engine.capabilities.admits(problem)
        return Diagnosis(f"does not take {lacking or problem}", known=False)
    raised = [o for o in observations if o.error]
    wrong = sorted((o for o in observations if o.wrong), key=lambda o: work(o.problem))
    if raised and (raised[0].near or not wrong):
        rest = _elsewhere(conv, wrong, observations)
        return Diagnosis(f"{raised[0].error} on {raised[0].problem}", known=True, details=rest)
    return _explained(conv, wrong, observations) if wrong else _beyond(conv, observations[0].problem)


def _of_complex(conv: Conv, problem: Problem) -> Diagnosis:
    """What is made of complex numbers, else what is made of real ones."""
    if words := complex_words(conv, problem):
        return Diagnosis(words, known=True)
    dtype = DTYPES[problem.dtype].part.name.replace("float", "f")
    if dtype in conv.engine.capabilities.dtypes:
        return _diagnose(conv, problem.replace(dtype=dtype))
    return Diagnosis("no known mistake in complex numbers explains it", known=False)


def _elsewhere(conv: Conv, wrong: Sequence[Observation], observations: Sequence[Observation]) -> tuple[str, ...]:
    if not wrong:
        return ()
    rest = _explained(conv, wrong, observations)
    return (f"where it does not raise: {rest.words}", *rest.details)


def _observations(conv: Conv, problem: Problem) -> Iterator[Observation]:
    """Results on the problem, on enlargements of it, and on a problem of every kind that the target takes."""
    bare = problem if conv.map is Map.FORWARD else problem.replace(bias=False)
    offered, seen = conv.engine.capabilities, {bare}
    if problem.is_valid:
        yield from observe_all(conv, bare)
    if problem.ndim not in offered.ndims or problem.dtype not in offered.dtypes:
        return
    kinds = [probed(conv, problem), *templates(problem.ndim, problem.dtype, offered)]
    for near, others in ((True, enlarged(bare, offered)), (False, filter(None, kinds))):
        for other in others:
            asked = other.replace(bias=other.bias and conv.map is Map.FORWARD)
            if asked not in seen and work(asked) <= offered.work_limit:
                seen.add(asked)
                yield from observe(conv, asked, near=near)


def _explained(conv: Conv, wrong: Sequence[Observation], observations: Sequence[Observation]) -> Diagnosis:
    """Try one mistake on everything, then two at once, then one on the problem that was asked about."""
    right = [o for o in observations if o.got is not None and not o.wrong]
    found = _explain(conv, wrong, right) or _explain(conv, wrong, right, pairs=True)
    if found:
        exceptions = f"{BUT}{len(right) - found.right} of {len(observations)} calls do not show it"
        notes = [_condition(observations) or exceptions] if found.right < len(right) else []
        return Diagnosis(found.words, known=True, details=tuple(notes))
    near = [o for o in wrong if o.near]
    found = _explain(conv, near, right) if near else None
    if found is None:
        return _unknown(conv, wrong, observations)
    unexplained = sum(explains(found.edit, o) is False for o in wrong)
    if unexplained * 2 <= len(wrong) and len({o.problem for o in near}) > 1:
        note = f"{unexplained} wrong results on other problems have another cause"
        return Diagnosis(found.words, known=True, details=(note,))
    return _unknown(conv, wrong, observations, f"on {near[0].problem} alone it looks like this: {found.words}")


def _explain(
    conv: Conv, failing: Sequence[Observation], right: Sequence[Observation], *, pairs: bool = False
) -> Explanation | None:
    own = conv.map is conv.engine.capabilities.primary
    scope = Scope(conv.map, failing[0].problem.ndim, conv.engine.convention, failing, own=own)
    return explain(scope, right, pairs=pairs)


def _condition(observations: Sequence[Observation]) -> str:
    """Say when it fails, if that can be said without exceptions."""
    condition = smallest_condition([(o.problem, o.wrong) for o in observations])
    return f"on the problems tried, it {condition}" if condition.startswith("fails whenever") else ""


def _unknown(
    conv: Conv, wrong: Sequence[Observation], observations: Sequence[Observation], hint: str = ""
) -> Diagnosis:
    first = next((o for o in wrong if o.near), wrong[0])
    details = [hint, _condition(observations), _oddity(first), where_wrong(first)]
    if not _is_steady(conv, first):
        words = "not deterministic: equal operands give different results"
        return Diagnosis(words, known=True, details=tuple(filter(None, details)))
    lost = lost_bits(conv, first.problem) if all(_is_rounding(o) for o in wrong) else ""
    if lost:
        return Diagnosis(lost, known=True)
    if conv.engine.buffered and all(map(_is_leftover, wrong)):
        words = "shows what the output buffer held: not written everywhere, or not cleared before adding"
        return Diagnosis(words, known=True, details=tuple(filter(None, details)))
    details += wrong_triples(conv, first.problem) or wrong_triples(conv, wrong[0].problem)
    return Diagnosis("no known mistake explains it", known=False, details=tuple(filter(None, details)))


def _is_rounding(o: Observation) -> bool:
    """Whether a wrong result is so near to the right one that only bits may be missing."""
    if o.got is None or o.got.shape != o.expected.shape:
        return False
    return bool(np.max(np.abs(o.got - o.expected), initial=0) <= np.max(np.abs(o.expected), initial=0) / 8)


def _is_leftover(o: Observation) -> bool:
    """Whether all that is wrong with a result is NaN, as which output buffers are poisoned."""
    if o.got is None or o.got.shape != o.expected.shape:
        return False
    return bool(np.array_equal(np.where(np.isnan(o.got), o.expected, o.got), o.expected))


def _oddity(o: Observation) -> str:
    """Say what is odd about a result at first sight: its shape, or elements that are no numbers."""
    got = np.empty(0) if o.got is None else o.got
    if got.shape != o.expected.shape:
        return f"returns shape {got.shape}, not {o.expected.shape}, on {o.problem}"
    count = np.count_nonzero(~np.isfinite(got))
    return f"{count} of {got.size} elements are NaN or infinite on {o.problem}" if count else ""


def _is_steady(conv: Conv, o: Observation) -> bool:
    """Whether three more calls on the same operands give the same result again."""
    return all(equal(o.got, call(conv, o.problem, o.operands)[0]) for _ in range(3))


def _beyond(conv: Conv, problem: Problem) -> Diagnosis:
    """Right on small integers in C order: look at what those do not show."""
    for find in (written, lost_bits, misread):
        found = find(conv, problem)
        if found:
            return Diagnosis(found, known=True)
    return Diagnosis("no difference found", known=True)
