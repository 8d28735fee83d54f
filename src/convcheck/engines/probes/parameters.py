"""Which parameters a target takes, each in which form, and which it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from convcheck.engines.probes.asking import Asking, plain_operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["settle_parameters"]

_STEPS = ("stride", "padding", "dilation")
#: what libraries call padding that keeps sizes, with the odd element at the high end and at the low one, or by nothing
_NAMES = {
    "same": ("same", "SAME", "SAME_UPPER"),
    "lower": ("SAME_LOWER", "same_lower"),
    "none": ("valid", "VALID"),
}
_NUMBERS = ("int", "tuple", "pairs")


def settle_parameters(asking: Asking, problem: Problem) -> tuple[Asking, frozenset[str]]:
    """Return how the target is asked from now on, and its features (`convcheck.engines.base.FEATURES`)."""
    named = asking.caller.signature.names
    features = {name for name in _STEPS if name in named}
    if "padding" in named and asking.caller.primary is Map.FORWARD:
        asking, found = _settle_names(asking, problem)
        features |= found
        if asking.caller.forms.get("padding") == "name":
            features.remove("padding")
    for name in sorted(features & {*_STEPS}):
        asking, found = _settle_form(asking, problem, name)
        features |= found
    if "same-padding" in features and _strides_same(asking, problem):
        features.add("strided-same")
    if "output_padding" in named:  # takes what the stride takes
        asking = asking.spelling(output_padding=asking.caller.forms.get("stride", "tuple"))
    if asking.caller.style != "bare":
        features |= {"batch", "channels"}
        features |= {name for name in ("groups", "bias") if name in named}
        features |= {"output-padding"} & {name.replace("_", "-") for name in named}
    elif "bias" in named and asking.takes(problem.replace(bias=True)):
        features.add("bias")
    return asking, frozenset(features - _refused(asking, problem, features))


def _settle_form(asking: Asking, problem: Problem, name: str) -> tuple[Asking, set[str]]:
    """Try a parameter as an int, as a tuple with one entry an axis, and as (low, high) pairs an axis."""
    trial = {"stride": (2,), "padding": ((1, 1),), "dilation": (2,)}[name]
    sample = problem.replace(size=tuple(s + 3 for s in problem.size), **{name: trial * problem.ndim})
    sample = sample.replace(size=tuple(s - rest for s, rest in zip(sample.size, sample.leftover, strict=True)))
    forms = _NUMBERS if name == "padding" else _NUMBERS[:2]
    works = [form for form in forms if asking.spelling(**{name: form}).takes(sample)]
    best = next((form for form in ("tuple", "pairs", "int") if form in works), "tuple")
    form = "either" if {"int", "tuple"} <= set(works) else best
    found = {f"unequal-{name}"} if form != "int" and problem.ndim > 1 else set()
    return asking.spelling(**{name: form}), found | ({"two-sided-padding"} if "pairs" in works else set())


def _settle_names(asking: Asking, problem: Problem) -> tuple[Asking, set[str]]:
    """Find out by which names padding goes that keeps sizes, or pads by nothing, and whether it goes by numbers too."""
    features: set[str] = set()
    for form, lower in (("same", False), ("lower", True)):
        sample = problem.replace(same=True, lower=lower)
        if name := _name_taken(asking, form, sample):
            asking = asking.spelling(**{form: name})
            features.add("same-lower" if lower else "same-padding")
    steps = [name for name in ("stride", "dilation") if name in asking.caller.signature.names]
    if steps:  # else it is left to its own defaults, where padding is the only parameter and there is none
        sample = problem.replace(size=(7,) * problem.ndim, **{steps[0]: (2,) * problem.ndim})
        by_name = asking.spelling(padding="name")
        if name := _name_taken(by_name, "none", sample):
            asking = asking.spelling(none=name)
    padded = problem.replace(padding=((1, 1),) * problem.ndim)
    by_numbers = any(spelt.takes(padded) for form in _NUMBERS for spelt in _step_forms(asking.spelling(padding=form)))
    if features and not by_numbers:
        asking = asking.spelling(padding="name")
    return asking, features


def _name_taken(asking: Asking, form: str, sample: Problem) -> str:
    """Return the first name of padding that the target takes for a problem, if it doesn't take just any."""

    def takes(name: str) -> bool:
        return any(spelt.takes(sample) for spelt in _step_forms(asking.spelling(**{form: name})))

    return "" if takes("no such name") else next(filter(takes, _NAMES[form]), "")


def _step_forms(asking: Asking) -> Iterator[Asking]:
    """Stride and dilation as tuples, and as ints."""
    return (asking.spelling(stride=form, dilation=form) for form in ("tuple", "int"))


def _strides_same(asking: Asking, problem: Problem) -> bool:
    """Whether "same" goes with a stride, and leaves ceil(S / s) positions of the window that `same_padding` gives."""
    if "stride" not in asking.caller.signature.names:
        return False
    sample = problem.replace(size=(6,) * problem.ndim, stride=(2,) * problem.ndim, same=True)
    operands = plain_operands(Map.FORWARD, sample)
    result, expected = asking.call(sample, operands), contract(Map.FORWARD, sample, *operands)
    return result is not None and result.shape == expected.shape and bool(np.all(np.rint(result) == expected))


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
