"""Mistakes in the values: scaled, clipped, wrapped, of operands or of the result; or remembered from a call before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from convcheck.diagnosis.formats import FORMATS, named, rounded
from convcheck.diagnosis.mistakes.mistake import Mistake, Scope
from convcheck.diagnosis.model import Model, predictions
from convcheck.dtypes import DTYPES
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["earlier", "operands", "results", "scales"]

Array = np.ndarray[Any, Any]
Change = Callable[[Array], Array]

NAMES = {"x": "input", "w": "weight", "y": "upstream gradient"}
RESULTS: tuple[tuple[str, Change], ...] = (
    ("result is zero everywhere", np.zeros_like),
    ("result negated", np.negative),
    ("negative results clipped to zero (ReLU)", lambda y: np.maximum(y, 0)),
    ("absolute value of the result", np.abs),
)
RARE_RESULTS: tuple[tuple[str, Change], ...] = (
    ("result squared", np.square),
    ("one added to the result", lambda y: y + 1),
    ("result wrapped to 8 bits with sign", lambda y: (y + 128) % 256 - 128),
    ("result modulo 256", lambda y: y % 256),
    ("remainder of the result by 256", lambda y: np.fmod(y, 256)),
    ("result without its axes of length 1", np.squeeze),
    ("result without the axis of a single image", lambda y: y[0] if y.shape[:1] == (1,) else y),
    ("result without the axis of a single filter", lambda y: y[:, 0] if y.shape[1:2] == (1,) else y),
    ("result with the filters last", lambda y: np.moveaxis(y, 1, -1)),
)
OPERANDS: tuple[tuple[str, Change], ...] = (
    ("taken without its sign", np.abs),
    ("clipped to zero where negative", lambda a: np.maximum(a, 0)),
    ("clipped to -1..1", lambda a: np.clip(a, -1, 1)),
    ("counted as one where it is not zero", np.sign),
)
COUNTS: tuple[tuple[str, Callable[[Problem], int]], ...] = (
    ("taps", lambda p: prod(p.kernel)),
    ("channels per group", lambda p: p.channels_per_group),
    ("images", lambda p: p.batch),
    ("groups", lambda p: p.groups),
    ("output positions", lambda p: prod(p.output)),
)


def results(scope: Scope) -> Iterator[Mistake]:
    """Something is done to the finished result; limits are read off the results."""
    for words, change in RESULTS:
        yield Mistake(words, _finished(change), True)
    for words, change in RARE_RESULTS:
        yield Mistake(words, _finished(change))
    precisions = {DTYPES[o.problem.dtype].precision for o in scope.failing if DTYPES[o.problem.dtype].kind == "f"}
    for bits in (b for b in FORMATS if b < max(precisions, default=0)):
        words = f"result stored in {named(bits)}, not in {named(max(precisions))}"
        yield Mistake(words, _finished(_to_bits(bits)))
    seen = [o.got for o in scope.failing if o.got is not None and o.got.size]
    if seen:
        low, high = min(float(np.min(y)) for y in seen), max(float(np.max(y)) for y in seen)
        yield Mistake(f"results clipped to at most {high:g}", _finished(lambda y: np.minimum(y, high)))
        yield Mistake(f"results clipped to at least {low:g}", _finished(lambda y: np.maximum(y, low)))
        yield Mistake(f"results clipped to {low:g}..{high:g}", _finished(lambda y: np.clip(y, low, high)))


def _to_bits(bits: int) -> Change:
    return lambda y: rounded(y, bits)


def _finished(change: Change) -> Callable[[Model], Model]:
    return lambda model: model.then(change)


def operands(scope: Scope) -> Iterator[Mistake]:
    """Something is done to an operand first."""
    for field, role in zip(("a", "b"), scope.which.roles, strict=True):
        for words, change in OPERANDS:
            yield Mistake(f"{NAMES[role]} {words}", _prepared(field, change))


def _prepared(field: str, change: Change) -> Callable[[Model], Model]:
    return lambda model: model.replace(
        operands=model.operands._replace(**{field: change(getattr(model.operands, field))})
    )


def scales(scope: Scope) -> Iterator[Mistake]:
    """The result, or all of it but the bias, is scaled: by a number of the problem, or one read off the results."""
    for name, count in (*COUNTS, ("summed products", lambda p: p.terms(scope.which))):
        for operation, by in (("divided", _divided), ("multiplied", _multiplied)):
            words = f"result {operation} by the number of {name}"
            yield Mistake(words, _scaled(count, by), name == "taps")
            yield Mistake(words, _scaled_products(count, by))
    if scope.which is Map.FORWARD:
        yield Mistake("result divided by the number of taps inside the input", _averaged)
    for factor in dict.fromkeys(_ratios(scope)):
        yield Mistake(f"result scaled by {factor:.9g}", _finished(_times(factor)), abs(factor - 1) > 0.01)


def _times(factor: float) -> Change:
    return lambda y: y * factor


def _divided(count: int) -> Change:
    return lambda y: y / count


def _multiplied(count: int) -> Change:
    return lambda y: y * count


def _scaled(count: Callable[[Problem], int], by: Callable[[int], Change]) -> Callable[[Model], Model]:
    return lambda model: model.then(by(count(model.problem)))


def _scaled_products(count: Callable[[Problem], int], by: Callable[[int], Change]) -> Callable[[Model], Model]:
    """Scale all but the bias."""

    def edit(model: Model) -> Model:
        bias = model.operands.bias
        added = 0.0 if bias is None else bias.astype(np.float64).reshape(-1, *(1,) * len(model.axes))
        products = model.replace(operands=model.operands._replace(bias=None))
        return products.then(by(count(model.problem))).then(lambda y: y + added)

    return edit


def _averaged(model: Model) -> Model:
    ones = [np.ones_like(array) for array in model.operands[:2] if array is not None]
    inside = contract(Map.FORWARD, model.problem, *ones) / model.problem.channels_per_group
    return model.then(lambda y: y / np.maximum(inside, 1) if y.shape == inside.shape else y)


def _ratios(scope: Scope) -> Iterator[float]:
    """Ratio of got to expected where it is the same at every element, but for roundings."""
    for o in scope.failing[:4]:
        if o.got is None or o.got.shape != o.expected.shape or not np.any(o.expected):
            continue
        factors = o.got[o.expected != 0] / o.expected[o.expected != 0]
        factor = float(np.median(factors))
        if np.all(np.abs(factors - factor) <= 4 * o.rounding * abs(factor)) and factor not in (0, 1, -1):
            yield float(f"{factor:.6g}")
            yield factor


def earlier(scope: Scope) -> Iterator[Mistake]:
    """The target remembers: an operand or the result of an earlier call on the same problem."""
    for number in (0, 1):  # the call before, or the first one
        for words, remember in _memories(scope):
            yield Mistake(words, _remembering(number, remember))
        yield Mistake("result added to that of an earlier call", _accumulated(number))


def _memories(scope: Scope) -> Iterator[tuple[str, Callable[[Operands, Operands], Operands]]]:
    yield "result of an earlier call returned", lambda _, before: before
    first, second = (NAMES[role] for role in scope.which.roles)
    yield f"{first} of an earlier call used", lambda now, before: now._replace(a=before.a)
    yield f"{second} of an earlier call used", lambda now, before: now._replace(b=before.b)
    if scope.which is Map.FORWARD:
        yield "bias of an earlier call used", lambda now, before: now._replace(bias=before.bias)


def _remembering(number: int, remember: Callable[[Operands, Operands], Operands]) -> Callable[[Model], Model | None]:
    """Nothing is said of a first call."""

    def edit(model: Model) -> Model | None:
        if not model.earlier:
            return None
        return model.replace(operands=remember(model.operands, model.earlier[number]))

    return edit


def _accumulated(number: int) -> Callable[[Model], Model | None]:
    def edit(model: Model) -> Model | None:
        if not model.earlier:
            return None
        before = next(predictions(model.replace(operands=model.earlier[number], earlier=())))
        return model.then(lambda y: y + before if y.shape == before.shape else y)

    return edit
