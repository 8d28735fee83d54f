"""A layer with a hand-written ``torch.autograd.Function``, whose backward can be replaced; torch is imported late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from convcheck.engines import torch_state
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.engines.derivatives import Derivatives
from convcheck.engines.wrap import wrap
from convcheck.problem import Map
from convcheck.selftest.functions import FACTS, Parameters, function_of

__all__ = ["Gradients", "layer_engine", "written"]

Tensors = tuple[Any, ...]
#: from (context, upstream gradient) to the gradients by x, w and the bias, needed or not
Gradients = Callable[[Any, Any], Tensors]

_FACTS = replace(FACTS, ndims=(1, 2, 3), gradients=("x", "w", "bias"), twice=True)


def layer_engine(name: str, make: Callable[[], Callable[..., Any]]) -> Engine:
    """Return an engine of what ``make`` makes, a function of torch tensors, once it is called."""

    @cache
    def made() -> Engine:
        return wrap(make(), name=name, facts=_FACTS)

    def derived(way: str) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            return getattr(made().derivatives, way)(*given)

        return call

    return Engine(
        name,
        Capabilities(_FACTS.ndims, _FACTS.dtypes, _FACTS.features, tuple(Map), _FACTS.work_limit),
        lambda *given: made().apply(*given),
        Derivatives("by autograd", derived("vjp"), _FACTS.gradients, derived("second"), derived("accumulate")),
    )


def written(gradients: Gradients) -> Callable[[], Callable[..., Any]]:
    """Return what makes a convolution with a hand-written backward: ``ctx.right(gy)`` is how it should be."""

    def make() -> Callable[..., Any]:
        import torch

        class Written(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, w: Any, bias: Any, parameters: Parameters) -> Any:
                ctx.save_for_backward(x, w)
                ctx.parameters = parameters
                return getattr(torch.nn.functional, f"conv{x.ndim - 2}d")(x, w, bias, *parameters)

            @staticmethod
            def backward(ctx: Any, upstream: Any) -> Any:
                ctx.right = lambda gy, *saved: _right(ctx.parameters, gy, *(saved or ctx.saved_tensors))
                found = gradients(ctx, upstream)
                needed = zip(found, ctx.needs_input_grad[:3], strict=True)
                return (*(gradient if is_needed else None for gradient, is_needed in needed), None)

        return function_of(Written.apply)

    return make


def _right(parameters: Parameters, upstream: Any, x: Any, w: Any) -> Tensors:
    """All three gradients, by what torch's own backward is made of: it can be differentiated again."""
    import torch

    (stride, padding, dilation, groups), none, wanted = parameters, [0] * (x.ndim - 2), [True] * 3
    with torch_state.without_mkldnn():  # whose weight gradients read beside the image: examples/found
        found: Tensors = torch.ops.aten.convolution_backward(
            upstream, x, w, [len(w)], stride, padding, dilation, False, none, groups, wanted
        )
    return found
