"""Faults of a torch layer with a hand-written backward, that show only where gradients are asked for in some way."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from convcheck.selftest.fault import Fault
from convcheck.selftest.written import Gradients, Tensors, layer_engine, written

__all__ = ["FAULTS"]


def _each(change: Callable[[Any, Any], Any], *places: int) -> Gradients:
    """Change some of the right gradients: x 0, w 1, bias 2."""
    return lambda ctx, gy: tuple(change(ctx, g) if place in places else g for place, g in enumerate(ctx.right(gy)))


def _bias(change: Callable[[Any, Any], Any]) -> Gradients:
    """Compute another gradient of the bias from the upstream gradient."""
    return lambda ctx, gy: (*ctx.right(gy)[:2], change(ctx, gy))


def _if_needs(holds: Callable[[list[bool]], bool], change: Callable[[Any], Any]) -> Gradients:
    """Change all gradients when those that are needed (of x, w and bias) are of some kind."""
    return lambda ctx, gy: tuple(change(g) if holds(list(ctx.needs_input_grad[:3])) else g for g in ctx.right(gy))


def _detached(ctx: Any, gy: Any) -> Tensors:
    return tuple(ctx.right(gy, *(t.detach() for t in ctx.saved_tensors)))


def _upstream_detached(ctx: Any, gy: Any) -> Tensors:
    return tuple(ctx.right(gy.detach()))


def _doubled_again(_: Any, gradient: Any) -> Any:
    return 2 * gradient - gradient.detach()


def _flipped_if_depthwise(ctx: Any, gradient: Any) -> Any:
    groups = ctx.parameters[-1]
    depthwise = groups > 1 and gradient.shape[1] == 1
    return gradient.flip(tuple(range(2, gradient.ndim))) if depthwise else gradient


def _clearing(place: int) -> Gradients:
    """Use what was saved as scratch space, once it has done its duty for the gradient of the other operand."""

    def gradients(ctx: Any, gy: Any) -> Tensors:
        found = ctx.right(gy)
        if ctx.needs_input_grad[place]:
            ctx.saved_tensors[place].data.zero_()
        return tuple(found)

    return gradients


def _upstream_scaled_in_place(ctx: Any, gy: Any) -> Tensors:
    found = tuple(ctx.right(gy))
    gy.data[:1].mul_(0.5)
    return found


def _upstream_cleared_for_a_bias(ctx: Any, gy: Any) -> Tensors:
    found = tuple(ctx.right(gy))
    if ctx.needs_input_grad[2]:
        gy.data.zero_()
    return found


def _ones_for_expanded(ctx: Any, gy: Any) -> Tensors:
    return tuple(ctx.right(gy.new_ones(gy.shape) if gy.numel() > 1 and not any(gy.stride()) else gy))


def _memory_order(ctx: Any, gy: Any) -> Tensors:
    dense = sorted(gy.stride(), reverse=True) != list(gy.stride()) and gy.untyped_storage().nbytes() == gy.nbytes
    return tuple(ctx.right(gy.as_strided(gy.shape, gy.new_empty(gy.shape).stride()) if dense else gy))


def _nothing_for_zeros(ctx: Any, gy: Any) -> Tensors:
    return tuple(ctx.right(gy)) if bool(gy.any()) else (None, None, None)


def _layer(change: Callable[[Any, Any], Any]) -> Callable[[], Callable[..., Any]]:
    """Change the call of a right layer: ``change(call, (x, w, ...))`` where call is torch's own convolution."""

    def make() -> Callable[..., Any]:
        import torch

        def conv(
            x: Any, w: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
        ) -> Any:
            right = getattr(torch.nn.functional, f"conv{x.ndim - 2}d")
            return change(lambda *arrays: right(*arrays, stride, padding, dilation, groups), (x, w, bias))

        return conv

    return make


def _one_more_in_training(call: Callable[..., Any], arrays: Tensors) -> Any:
    result = call(*arrays)
    return result + 1 if result.requires_grad else result


def _grad_cleared(call: Callable[..., Any], arrays: Tensors) -> Any:
    for array in arrays:
        if array is not None and array.is_leaf and array.grad is not None:
            array.grad = None
    return call(*arrays)


def _saved_in_the_layer() -> Callable[..., Any]:
    """The operands are kept with the layer, not with the call: the last call's win."""
    last: list[Tensors] = []

    def gradients(ctx: Any, gy: Any) -> Tensors:
        x, w = ctx.saved_tensors
        kept = next((t for t in last if t[0].shape == x.shape and t[1].shape == w.shape), (x, w))
        return tuple(ctx.right(gy, *kept))

    conv = written(gradients)()

    def layer(x: Any, w: Any, *more: Any, **named: Any) -> Any:
        last[:] = [(x, w)]
        return conv(x, w, *more, **named)

    layer.__signature__ = inspect.signature(conv)  # type: ignore[attr-defined]
    return layer


_BACKWARDS: dict[str, Gradients] = {
    "saved-operands-detached": _detached,
    "upstream-detached": _upstream_detached,
    "second-derivative-doubled-by-x": _each(_doubled_again, 0),
    "second-derivative-doubled-by-w": _each(_doubled_again, 1),
    "weight-averaged-over-batch": _each(lambda ctx, g: g / len(ctx.saved_tensors[0]), 1),
    "weight-flipped-for-depthwise": _each(_flipped_if_depthwise, 1),
    "input-cleared-for-its-gradient": _clearing(0),
    "weight-cleared-for-its-gradient": _clearing(1),
    "upstream-scaled-in-place": _upstream_scaled_in_place,
    "upstream-cleared-for-a-bias": _upstream_cleared_for_a_bias,
    "doubled-if-asked-for-alone": _if_needs(lambda needs: sum(needs) == 1, lambda g: g * 2),
    "doubled-if-both-are-asked-for": _if_needs(lambda needs: needs[0] and needs[1], lambda g: g * 2),
    "negated-if-with-a-bias": _if_needs(lambda needs: needs[2], lambda g: -g),
    "expanded-upstream-taken-for-ones": _ones_for_expanded,
    "upstream-read-in-memory-order": _memory_order,
    "none-for-a-zero-upstream": _nothing_for_zeros,
    "bias-of-the-first-image": _bias(lambda _, gy: gy[:1].sum((0, *range(2, gy.ndim)))),
    "bias-summed-over-the-wrong-axis": _bias(
        lambda _, gy: gy.sum((1, *range(2, gy.ndim))) if len(gy) == gy.shape[1] else gy.sum((0, *range(2, gy.ndim)))
    ),
    "bias-averaged": _bias(lambda _, gy: gy.mean((0, *range(2, gy.ndim)))),
    "bias-without-the-last-position": _bias(
        lambda _, gy: gy[..., : max(1, gy.shape[-1] - 1)].sum((0, *range(2, gy.ndim)))
    ),
}
_LAYERS: dict[str, Callable[[], Callable[..., Any]]] = {
    "one-more-where-it-is-differentiated": _layer(_one_more_in_training),
    "gradient-cleared-by-the-next-call": _layer(_grad_cleared),
    "operands-saved-in-the-layer": _saved_in_the_layer,
}


def _faults() -> tuple[Fault, ...]:
    makers = {name: written(gradients) for name, gradients in _BACKWARDS.items()} | _LAYERS
    return tuple(
        Fault(f"torch-{name}", "gradient", layer_engine(f"torch-{name}", make)) for name, make in makers.items()
    )


FAULTS: tuple[Fault, ...] = _faults() if find_spec("torch") else ()
