"""Mistakes of the bias: missing, counted wrongly, or along the wrong axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from convcheck.diagnosis.mistakes.mistake import Mistake, Scope
from convcheck.diagnosis.model import Model
from convcheck.problem import Map, Problem

__all__ = ["biases"]

Array = np.ndarray[Any, Any]

#: what becomes of the bias, by problem and bias
CHANGES: tuple[tuple[str, Callable[[Problem, Array], Array | None]], ...] = (
    ("bias missing", lambda _, __: None),
    ("bias added twice", lambda _, b: 2 * b),
    ("bias negated", lambda _, b: -b),
    ("bias only on the first filter", lambda _, b: b * (np.arange(len(b)) == 0)),
    ("bias missing on the last filter", lambda _, b: b * (np.arange(len(b)) < len(b) - 1)),
    ("first filter's bias used for all filters", lambda _, b: b[[0] * len(b)]),
    ("bias in reverse order", lambda _, b: b[::-1]),
    ("sum of the biases used for all filters", lambda _, b: np.full_like(b, b.sum())),
    ("first group's bias used for all groups", lambda p, b: np.resize(b[: p.filters_per_group], b.shape)),
    ("bias added once for each channel of the group", lambda p, b: b * p.channels_per_group),
    ("bias added once for each group", lambda p, b: b * p.groups),
    ("bias added once for each tap", lambda p, b: b * prod(p.kernel)),
)


def biases(scope: Scope) -> Iterator[Mistake]:
    """The bias is missing, or is not what it should be, or does not stand along the filters."""
    if scope.which is not Map.FORWARD:
        return
    for words, change in CHANGES:
        yield Mistake(words, _biased(change), words == "bias missing")
    for axis in range(scope.ndim):
        yield Mistake(f"bias added along axis {axis} instead of the filters", _bias_along(2 + axis))
    yield Mistake("bias added along the batch instead of the filters", _bias_along(0))
    yield Mistake("bias only on the first image", _bias_on_first_image)


def _biased(change: Callable[[Problem, Array], Array | None]) -> Callable[[Model], Model]:
    def edit(model: Model) -> Model:
        bias = model.operands.bias
        if bias is None:
            return model
        return model.replace(operands=model.operands._replace(bias=change(model.problem, bias)))

    return edit


def _instead(model: Model, added: Array) -> Model:
    """Add something else than the bias."""
    return model.replace(operands=model.operands._replace(bias=None)).then(lambda y: y + added)


def _bias_along(dimension: int) -> Callable[[Model], Model]:
    def edit(model: Model) -> Model:
        bias, shape = model.operands.bias, model.problem.shapes["y"]
        if bias is None or len(bias) not in (1, shape[dimension]):
            return model
        lengths = [len(bias) if d == dimension else 1 for d in range(len(shape))]
        return _instead(model, bias.astype(np.float64).reshape(lengths))

    return edit


def _bias_on_first_image(model: Model) -> Model:
    bias = model.operands.bias
    if bias is None:
        return model
    first = (np.arange(model.problem.batch) == 0).reshape(-1, 1, *(1,) * len(model.axes))
    return _instead(model, first * bias.astype(np.float64).reshape(-1, *(1,) * len(model.axes)))
