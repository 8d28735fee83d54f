"""Calls that no convolution can answer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["invalid_calls"]

Array = np.ndarray[Any, Any]


def invalid_calls(
    which: Map, problem: Problem, operands: Operands, features: frozenset[str]
) -> Iterator[tuple[str, Any, Operands]]:
    """What is wrong, a problem that says so, and operands; only what the engine's features allow to ask."""
    a, b, bias = operands
    channels = "channels" if which is Map.FORWARD else "filters"
    over = tuple(s + sum(p) + 1 for s, p in zip(problem.size, problem.padding, strict=True))
    if which is Map.FORWARD:
        yield (
            "kernel larger than the padded input",
            _bent(problem, kernel=over, same=False),
            operands._replace(b=np.ones((*b.shape[:2], *over), b.dtype)),
        )
    if "channels" in features and a.shape[1] > 1:
        fewer = operands._replace(a=a[:, :-1])
        yield "input lacks a channel", _bent(problem, **{channels: a.shape[1] - 1}), fewer
    if "groups" in features:
        wrong = a.shape[1] + 1
        yield f"{wrong} groups of {a.shape[1]} channels", _bent(problem, groups=wrong), operands
        yield "0 groups", _bent(problem, groups=0), operands
    for name in ("stride", "dilation"):
        if name in features:
            for value in (0, -1):
                yield f"{name} {value}", _bent(problem, **{name: (value,) * problem.ndim}), operands
    if "padding" in features:
        negative = ((-1, -1),) * problem.ndim
        yield "padding -1", _bent(problem, padding=negative, same=False), operands
    if "channels" in features:
        yield "one axis too many", problem, operands._replace(a=a[..., None])
    if bias is not None and bias.size > 1:
        yield "bias one too long", problem, operands._replace(bias=np.append(bias, bias[:1]))


def _bent(problem: Problem, **changes: Any) -> Any:
    """Make a look-alike of a problem that `Problem` itself would refuse."""
    names = ("size", "kernel", "stride", "padding", "dilation", "dtype", "batch", "groups", "channels", "filters")
    values = {name: getattr(problem, name) for name in (*names, "bias", "same", "lower", "ndim", "leftover")}
    return SimpleNamespace(**(values | changes))
