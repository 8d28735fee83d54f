"""Which parameters a target takes, each in which form, and which it refuses."""

from __future__ import annotations

from itertools import product
from typing import Any

from convcheck.engines.capabilities import LARGER_KERNELS
from convcheck.engines.probes.asking import Asking, plain_operands
from convcheck.problem import Map, Problem

__all__ = ["settle_parameters", "settle_together"]

_STEPS = ("stride", "padding", "dilation")
#: what libraries call padding that keeps sizes, with the odd element at the high end and at the low one, or by nothing
_NAMES = {
    "same": ("same", "SAME", "SAME_UPPER"),
    "lower": ("SAME_LOWER", "same_lower"),
    "none": ("valid", "VALID"),
}
#: forms in which numbers are given, likeliest first
_NUMBERS = ("tuple", "int", "pairs", "flat", "backwards")
#: those in which the ends of all axes stand in a row
_ROWS = ("flat", "backwards")


def settle_parameters(asking: Asking, problem: Problem) -> tuple[Asking, frozenset[str]]:
    """Return how the target is asked from now on, and its features (`convcheck.engines.capabilities.FEATURES`)."""
    named = asking.caller.signature.names
    features = {name for name in _STEPS if name in named}
    features |= {LARGER_KERNELS} if "mode" in named else set()
    asking = settle_together(asking, problem)
    if "padding" in named and asking.caller.primary is Map.FORWARD:
        asking, found = _settle_names(asking, problem)
        features |= found
        if asking.caller.forms["padding"] == "name":
            features.remove("padding")
    for name in sorted(features & {*_STEPS}):
        asking, found = _settle_form(asking, problem, name)
        features |= found
    if "same-padding" in features and _strides_same(asking, problem):
        features.add("strided-same")
    if "output_padding" in named:  # takes what the stride takes
        asking = asking.spelling(output_padding=asking.caller.forms["stride"])
    if asking.caller.style != "bare":
        features |= {"channels"} if asking.caller.forms.get("images") == "alone" else {"batch", "channels"}
        features |= {name for name in ("groups", "bias") if name in named}
        features |= {"output-padding"} & {name.replace("_", "-") for name in named}
    elif "bias" in named and asking.takes(problem.replace(bias=True)):
        features.add("bias")
    counted = problem.channels * problem.filters > 1  # by a target that takes no fewer
    features -= _refused(asking, problem, features) - ({"channels"} if counted else set())
    apart = _apart(asking, problem, features) if asking.caller.style == "functional" else set()
    return asking, frozenset(features - {"channels"} | apart if apart else features)


def settle_together(asking: Asking, problem: Problem) -> Asking:
    """Find forms in which all parameters are taken together, where they say nothing; tuples, if there are none."""
    named = [name for name in _STEPS if name in asking.caller.signature.names]
    usual = asking.spelling(stride="tuple", dilation="tuple", padding="tuple", output_padding="tuple")
    choices = [(*_NUMBERS, *_NAMES["none"]) if name == "padding" else _NUMBERS[:2] for name in named]
    for chosen in product(*choices):
        trial = usual
        for name, form in zip(named, chosen, strict=True):
            by_name = {"padding": "name", "none": form} if form in _NAMES["none"] else {name: form}
            trial = trial.spelling(**by_name)
        if trial.telling().takes(problem):
            return trial
    return usual


def _settle_form(asking: Asking, problem: Problem, name: str) -> tuple[Asking, set[str]]:
    """Try a parameter in each form, where it says something and the others say nothing."""
    works = _forms_that_work(asking, problem, name)
    telling = ("tuple", "pairs", *_ROWS, "int")  # what says most first
    best = next((form for form in telling if form in works), asking.caller.forms[name])
    form = "either" if {"int", "tuple"} <= works else best
    found = {f"unequal-{name}"} if form != "int" and problem.ndim > 1 else set()
    found |= {"two-sided-padding"} if "pairs" in works or form in ("pairs", *_ROWS) else set()
    return asking.spelling(**{name: form}), found


def _forms_that_work(asking: Asking, problem: Problem, name: str) -> set[str]:
    """Forms in which a parameter is taken, all alike along the axes; of ints and tuples, those that aren't refused.

    Where one of the two comes out right and the other wrong, that is a mistake for the laws to find.
    """
    trial = {"stride": (2,), "padding": ((1, 1),), "dilation": (2,)}[name]
    sample = problem.replace(size=tuple(s + 3 for s in problem.size), **{name: trial * problem.ndim})
    sample = sample.replace(size=tuple(s - rest for s, rest in zip(sample.size, sample.leftover, strict=True)))
    forms = ("tuple", "int", "pairs") if name == "padding" else ("tuple", "int")
    works = {form for form in forms if asking.spelling(**{name: form}).takes(sample)}
    if works & {"tuple", "int"}:
        works |= {form for form in forms[:2] if asking.spelling(**{name: form}).call(sample) is not None}
    if name != "padding":
        return works
    two_sided = sample.replace(padding=((1, 2), (0, 2), (2, 0))[: problem.ndim])  # each number tells where it is read
    if row := next((form for form in _ROWS if not works and asking.spelling(padding=form).takes(two_sided)), ""):
        return {row}
    return works - {"tuple"} if _pads_every_axis(asking, problem) else works


def _pads_every_axis(asking: Asking, problem: Problem) -> bool:
    """Whether a tuple means the two ends of every axis, as `numpy.pad` has it, not one number an axis."""
    if problem.ndim != 2 or asking.caller.primary is not Map.FORWARD:
        return False
    given, meant = (problem.replace(padding=ends) for ends in (((1, 1), (2, 2)), ((1, 2), (1, 2))))
    result = asking.spelling(padding="tuple").call(given)
    return result is not None and result.shape == meant.shapes["y"]


def _settle_names(asking: Asking, problem: Problem) -> tuple[Asking, set[str]]:
    """Find out by which names padding goes that keeps sizes, or that adds nothing."""
    features: set[str] = set()
    for form, lower in (("same", False), ("lower", True)):
        if name := _name_taken(asking, form, problem.replace(same=True, lower=lower)):
            asking = asking.spelling(**{form: name})
            features.add("same-lower" if lower else "same-padding")
    if "none" not in asking.caller.forms:
        name = _name_taken(asking.spelling(padding="name"), "none", problem)
        asking = asking.spelling(none=name) if name else asking
    return asking, features


def _name_taken(asking: Asking, form: str, sample: Problem) -> str:
    """Return the first name of padding that the target takes for a problem, if it doesn't take just any."""

    def takes(name: str) -> bool:
        return asking.telling().spelling(**{form: name}).takes(sample)

    return "" if takes("no such name") else next(filter(takes, _NAMES[form]), "")


def _strides_same(asking: Asking, problem: Problem) -> bool:
    """Whether "same" goes with a stride, and leaves ceil(S / s) positions of the window that `same_padding` gives.

    In capitals it is TensorFlow's or ONNX's, who say of which window: where others come, that is for the laws to find.
    """
    if "stride" not in asking.caller.signature.names:
        return False
    sample = problem.replace(size=(6,) * problem.ndim, stride=(2,) * problem.ndim, same=True)
    return asking.takes(sample) if asking.caller.forms.get("same", "").isupper() else asking.answers(sample)


def _apart(asking: Asking, problem: Problem, features: set[str]) -> set[str]:
    """Features of a target that takes several channels only where each is a group of its own, as a depthwise one does.

    Where groups can't be asked for, it shows by what it returns, or by what it minds: fewer filters than channels.
    """
    both = problem.replace(channels=2 * problem.channels, filters=2 * problem.filters)
    named = "groups" in asking.caller.signature.names
    counted = problem.channels * problem.filters > 1  # channels that come in multiples are one group's
    if counted or ("channels" in features and (named or asking.takes(both))):
        return set()
    samples = {"depthwise": both.replace(groups=2), "multiplier": both.replace(groups=2, filters=4)}
    minds = named or _minds_filters(asking, problem)
    return {name for name, sample in samples.items() if asking.answers(sample) or (minds and asking.takes(sample))}


def _minds_filters(asking: Asking, problem: Problem) -> bool:
    """Whether two filters for three channels are refused."""
    three = problem.replace(channels=3, filters=3, groups=3)
    operands = plain_operands(Map.FORWARD, three)
    return asking.call(three, operands._replace(b=operands.b[:2])) is None


def _refused(asking: Asking, problem: Problem, features: set[str]) -> set[str]:
    """Features that the target refuses: parameters by NotImplementedError, what is none by any exception of its own."""
    ndim, twice = problem.ndim, {"channels": 2 * problem.channels, "filters": 2 * problem.filters}
    changes: dict[str, dict[str, Any]] = {
        "batch": {"batch": 2},
        "channels": twice,
        "groups": {**twice, "groups": 2},
        "bias": {"bias": True},
        "stride": {"stride": (2,) * ndim},
        "padding": {"padding": ((1, 1),) * ndim},
        "dilation": {"dilation": (2,) * ndim, "size": (9,) * ndim},
    }
    unnamed = {"batch", "channels"} if "groups" not in asking.caller.signature.names else {"batch"}
    refuses = {name: asking.declines if name in unnamed else asking.refuses for name in changes}
    refused = {n for n in features & set(changes) if refuses[n](problem.replace(**changes[n]))}
    if asking.takes(problem.replace(size=(4,) * ndim, kernel=(2,) * ndim, stride=(2,) * ndim)):  # as patches lie
        refused -= {"stride"}
    return refused | {f for f in features if f.split("-")[-1] in refused and f != "same-padding"}
