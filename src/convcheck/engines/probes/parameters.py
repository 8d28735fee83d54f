"""Which parameters a target takes, each in which form, and which it refuses."""

from __future__ import annotations

from typing import Any

from convcheck.engines.probes.asking import Asking
from convcheck.problem import Map, Problem

__all__ = ["settle_parameters"]

_STEPS = ("stride", "padding", "dilation")


def settle_parameters(asking: Asking, problem: Problem) -> tuple[Asking, frozenset[str]]:
    """Return how the target is asked from now on, and its features (`convcheck.engines.base.FEATURES`)."""
    named = asking.caller.signature.names
    features = {name for name in _STEPS if name in named}
    for name in sorted(features):
        asking, found = _settle_form(asking, problem, name)
        features |= found
    if "output_padding" in named:  # takes what the stride takes
        asking = asking.spelling(output_padding=asking.caller.forms.get("stride", "tuple"))
    if asking.caller.style != "bare":
        features |= {"batch", "channels"}
        features |= {name for name in ("groups", "bias") if name in named}
        features |= {"output-padding"} & {name.replace("_", "-") for name in named}
    elif "bias" in named and asking.takes(problem.replace(bias=True)):
        features.add("bias")
    if "padding" in features and asking.caller.primary is Map.FORWARD:
        features |= {"same-padding"} if asking.takes(_same(problem)) else set()
        asking = _settle_valid(asking, problem)
    return asking, frozenset(features - _refused(asking, problem, features))


def _settle_form(asking: Asking, problem: Problem, name: str) -> tuple[Asking, set[str]]:
    """Try a parameter as an int, as a tuple with one entry an axis, and as (low, high) pairs an axis."""
    trial = {"stride": (2,), "padding": ((1, 1),), "dilation": (2,)}[name]
    sample = problem.replace(size=tuple(s + 3 for s in problem.size), **{name: trial * problem.ndim})
    sample = sample.replace(size=tuple(s - rest for s, rest in zip(sample.size, sample.leftover, strict=True)))
    forms = ("int", "tuple", "pairs") if name == "padding" else ("int", "tuple")
    works = [form for form in forms if asking.spelling(**{name: form}).takes(sample)]
    best = next((form for form in ("tuple", "pairs", "int") if form in works), "tuple")
    form = "either" if {"int", "tuple"} <= set(works) else best
    found = {f"unequal-{name}"} if form != "int" and problem.ndim > 1 else set()
    return asking.spelling(**{name: form}), found | ({"two-sided-padding"} if "pairs" in works else set())


def _settle_valid(asking: Asking, problem: Problem) -> Asking:
    """Find out whether padding by nothing has a name: "valid"."""
    steps = [name for name in ("stride", "dilation") if name in asking.caller.signature.names]
    if not steps:  # it is left to its own defaults where no parameter differs from them
        return asking
    sample = problem.replace(size=(7,) * problem.ndim, **{steps[0]: (2,) * problem.ndim})
    named = asking.spelling(none="valid")
    return named if named.takes(sample) else asking


def _same(problem: Problem) -> Problem:
    total = [r - 1 for r in problem.reach]
    return problem.replace(padding=tuple((t // 2, t - t // 2) for t in total), same=True)


def _refused(asking: Asking, problem: Problem, features: set[str]) -> set[str]:
    """Features on which the target raises NotImplementedError."""
    ndim = problem.ndim
    changes: dict[str, dict[str, Any]] = {
        "batch": {"batch": 2},
        "channels": {"channels": 2, "filters": 2},
        "groups": {"channels": 2, "filters": 2, "groups": 2},
        "bias": {"bias": True},
        "stride": {"stride": (2,) * ndim},
        "padding": {"padding": ((1, 1),) * ndim},
        "dilation": {"dilation": (2,) * ndim, "size": (9,) * ndim},
    }
    refused = {n for n in features & set(changes) if asking.refuses(problem.replace(**changes[n]))}
    return refused | {f for f in features if f.split("-")[-1] in refused}
