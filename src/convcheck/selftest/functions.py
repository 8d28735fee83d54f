"""Torch functions as the selftest plants them: the signature of a convolution around a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from convcheck.bounds import Numerics
from convcheck.engines.capabilities import FEATURES
from convcheck.engines.facts import Facts
from convcheck.problem import Problem

__all__ = ["FACTS", "Parameters", "function_of"]

#: what probes would find, had they not been spared
FACTS = Facts(
    kind="torch",
    style="functional",
    forms={},
    problem=Problem(size=(5, 6), kernel=(2, 3)),
    ndims=(2,),
    dtypes=("f32", "f64"),
    features=frozenset(FEATURES)
    - {"two-sided-padding", "same-padding", "same-lower", "strided-same", "output-padding"},
    numerics=Numerics(),
    work_limit=20_000,
    notes=(),
)


class Parameters(NamedTuple):
    """What torch's convolutions take after the bias, one entry an axis."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def function_of(call: Callable[[Any, Any, Any, Parameters], Any]) -> Callable[..., Any]:
    """Return a function of the usual signature that passes everything on to ``call(x, w, bias, parameters)``."""

    def conv(  # the names are what a signature is read by
        x: Any, w: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Any:
        s, p, d = ((v,) * (x.ndim - 2) if isinstance(v, int) else tuple(v) for v in (stride, padding, dilation))
        return call(x, w, bias, Parameters(s, p, d, groups))

    return conv
