"""Correct torch layers with hand-written backwards: differentiable again, once only, and through one function alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from convcheck.engines.base import Engine
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.selftest.base import BASE
from convcheck.selftest.written import layer_engine, written

__all__ = ["ENGINES"]


def _trilinear() -> Callable[..., Any]:
    """All derivatives of a map are maps of the same relation, the second ones too: one function is enough."""
    import torch

    class Contraction(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, which: Map, problem: Problem, a: Any, b: Any) -> Any:
            ctx.save_for_backward(a, b)
            ctx.which, ctx.problem = which, problem
            return torch.from_numpy(BASE(which, problem, Operands(a.detach().numpy(), b.detach().numpy())))

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            values = dict(zip(ctx.which.roles, ctx.saved_tensors, strict=True)) | {ctx.which.result: upstream}
            maps = [next(m for m in Map if m.result == role) for role in ctx.which.roles]
            return None, None, *(contracted(m, ctx.problem, *(values[r] for r in m.roles)) for m in maps)

    def contracted(*given: Any) -> Any:
        return Contraction.apply(*given)  # type: ignore[no-untyped-call]

    def conv(
        x: Any, w: Any, bias: Any = None, stride: Any = (), padding: Any = (), dilation: Any = (), groups: int = 1
    ) -> Any:
        problem = Problem(
            size=tuple(x.shape[2:]),
            kernel=tuple(w.shape[2:]),
            stride=stride,
            padding=tuple((p, p) for p in padding),
            dilation=dilation,
            dtype="f32" if x.dtype == torch.float32 else "f64",
            batch=len(x),
            groups=groups,
            channels=x.shape[1],
            filters=len(w),
        )
        y = contracted(Map.FORWARD, problem, x, w)
        return y if bias is None else y + bias.reshape(-1, *(1,) * problem.ndim)

    return conv


_LAYERS: dict[str, Callable[[], Callable[..., Any]]] = {
    "layer-differentiable-twice": written(lambda ctx, gy: ctx.right(gy)),
    "layer-differentiable-once": written(lambda ctx, gy: tuple(gradient.detach() for gradient in ctx.right(gy))),
    "layer-of-one-contraction": _trilinear,
}
ENGINES: tuple[Engine, ...] = (
    tuple(layer_engine(name, make) for name, make in _LAYERS.items()) if find_spec("torch") else ()
)
