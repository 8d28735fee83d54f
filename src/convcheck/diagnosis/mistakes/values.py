"""Mistakes in the values: scaled, clipped, without the bias, of an earlier call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from convcheck.diagnosis.mistakes.mistake import Mistake, Scope
from convcheck.diagnosis.model import Model, predictions
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["biases", "earlier", "results", "scales"]

Array = np.ndarray[Any, Any]


def results(_: Scope) -> Iterator[Mistake]:
    """Something is done to the finished result."""
    changes: tuple[tuple[str, Callable[[Array], Array]], ...] = (
        ("result is zero everywhere", np.zeros_like),
        ("result negated", np.negative),
        ("negative results clipped to zero (ReLU)", lambda y: np.maximum(y, 0)),
        ("absolute value of the result", np.abs),
        ("result squared", np.square),
        ("one added to the result", lambda y: y + 1),
    )
    for words, change in changes:
        yield Mistake(words, lambda model, change=change: model.then(change), True)


def scales(scope: Scope) -> Iterator[Mistake]:
    """The result is a multiple of the right one: by a number of the problem, or by a constant read off the results."""
    counts: tuple[tuple[str, Callable[[Problem], int]], ...] = (
        ("taps", lambda p: prod(p.kernel)),
        ("channels per group", lambda p: p.channels_per_group),
        ("images", lambda p: p.batch),
        ("groups", lambda p: p.groups),
        ("output positions", lambda p: prod(p.output)),
        ("summed products", lambda p: p.terms(scope.which)),
    )
    for name, count in counts:
        yield Mistake(f"result divided by the number of {name}", _scaled(lambda p, n=count: 1 / n(p)), True)
        yield Mistake(f"result multiplied by the number of {name}", _scaled(lambda p, n=count: n(p)), True)
    for factor in dict.fromkeys(_ratios(scope)):
        yield Mistake(f"result scaled by {factor:g}", _scaled(lambda _, f=factor: f), True)


def _ratios(scope: Scope) -> Iterator[float]:
    """Ratio of got to expected where it is the same at every element."""
    for o in scope.failing[:4]:
        if o.got is None or o.got.shape != o.expected.shape or not np.any(o.expected):
            continue
        factors = o.got[o.expected != 0] / o.expected[o.expected != 0]
        if np.all(np.abs(factors - factors[0]) <= 1e-6 * np.abs(factors[0])) and factors[0] not in (0, 1, -1):
            yield float(factors[0])


def _scaled(factor: Callable[[Problem], float]) -> Callable[[Model], Model]:
    return lambda model: model.then(lambda y: y * factor(model.problem))


def biases(scope: Scope) -> Iterator[Mistake]:
    """The bias is missing, or is not what it should be, or does not stand along the filters."""
    changes: tuple[tuple[str, Callable[[Array], Array | None]], ...] = (
        ("bias missing", lambda _: None),
        ("bias added twice", lambda b: 2 * b),
        ("bias negated", np.negative),
        ("bias only on the first filter", lambda b: b * (np.arange(len(b)) == 0)),
        ("bias missing on the last filter", lambda b: b * (np.arange(len(b)) < len(b) - 1)),
        ("first filter's bias used for all filters", lambda b: b[[0] * len(b)]),
        ("bias in reverse order", lambda b: b[::-1]),
        ("sum of the biases used for all filters", lambda b: np.full_like(b, b.sum())),
    )
    if scope.which is Map.FORWARD:
        for words, change in changes:
            yield Mistake(words, _biased(change), True)
        for place in range(scope.ndim):
            yield Mistake(f"bias added along axis {place} instead of the filters", _bias_along(2 + place), True)
        yield Mistake("bias added along the batch instead of the filters", _bias_along(0), True)
        for name, count in (("channels per group", lambda p: p.channels_per_group), ("groups", lambda p: p.groups)):
            yield Mistake(f"bias added once for each of the {name}", lambda m, n=count: _bias_times(m, n(m.problem)))
        yield Mistake("bias added once a tap", lambda m: _bias_times(m, prod(m.problem.kernel)))


def _biased(change: Callable[[Array], Array | None]) -> Callable[[Model], Model]:
    def edit(model: Model) -> Model:
        bias = model.operands.bias
        return model if bias is None else model.replace(operands=model.operands._replace(bias=change(bias)))

    return edit


def _bias_times(model: Model, count: int) -> Model:
    return _biased(lambda b: count * b)(model)


def _bias_along(dimension: int) -> Callable[[Model], Model]:
    def edit(model: Model) -> Model:
        bias, ndim = model.operands.bias, len(model.axes)
        if bias is None:
            return model
        lengths = model.problem.shapes["y"]
        if len(bias) not in (1, lengths[dimension]):
            return model
        shape = tuple(len(bias) if d == dimension else 1 for d in range(ndim + 2))
        added = bias.astype(np.float64).reshape(shape)
        return model.replace(operands=model.operands._replace(bias=None)).then(lambda y: y + added)

    return edit


def earlier(scope: Scope) -> Iterator[Mistake]:
    """The target remembers: an operand or the result of an earlier call on the same shapes."""
    first, second = (_NAMES[role] for role in scope.which.roles)
    kept: tuple[tuple[str, Callable[[Operands, Operands], Operands]], ...] = (
        ("result of an earlier call returned", lambda _, before: before),
        (f"{first} of an earlier call used", lambda now, before: now._replace(a=before.a)),
        (f"{second} of an earlier call used", lambda now, before: now._replace(b=before.b)),
    )
    for words, remember in kept:
        yield Mistake(words, lambda model, remember=remember: _remembering(model, remember))
    if scope.which is Map.FORWARD:
        yield Mistake(
            "bias of an earlier call used",
            lambda model: _remembering(model, lambda now, before: now._replace(bias=before.bias)),
        )
    yield Mistake("result added to that of an earlier call", _accumulated)


_NAMES = {"x": "input", "w": "weight", "y": "upstream gradient"}


def _remembering(model: Model, remember: Callable[[Operands, Operands], Operands]) -> Model | None:
    """Nothing is said of a first call."""
    if model.previous is None:
        return None
    return model.replace(operands=remember(model.operands, model.previous))


def _accumulated(model: Model) -> Model | None:
    if model.previous is None:
        return None
    before = next(predictions(model.replace(operands=model.previous, previous=None)))
    return model.then(lambda y: y + before if y.shape == before.shape else y)
