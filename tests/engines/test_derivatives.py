"""Gradients: the backward maps of a function whose arrays know how to differentiate."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.engines.base import Conv
from convcheck.engines.wrap import wrap
from convcheck.examine import examine
from convcheck.laws import BY_NAME
from convcheck.operands import Fill, make
from convcheck.plan import Profile, cases_of, slices
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

torch = pytest.importorskip("torch")

PROBLEM = Problem(
    size=(5, 6), kernel=(2, 3), stride=(2, 1), padding=((1, 1), (0, 0)), batch=2, groups=2, channels=4, filters=6
)
GRADIENTS = (Map.GRAD_INPUT, Map.GRAD_WEIGHT)


def conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return torch.nn.functional.conv2d(x, w, bias, stride, padding, dilation, groups)


def detached(x, w, stride=1):
    return torch.nn.functional.conv2d(x, w, None, stride).detach()


def without_grad(x, w):
    if x.requires_grad or w.requires_grad:
        raise RuntimeError("no gradients here")
    return torch.nn.functional.conv2d(x, w)


def operands_of(which):
    return [make(PROBLEM, role, Fill("dense", 5, seed=1)) for role in which.roles]


@pytest.mark.parametrize("which", GRADIENTS)
def test_autograd_offers_both_gradients(which):
    a, b = operands_of(which)
    expected = contract(which, PROBLEM, a, b)
    assert expected.tolist() == Conv(wrap(conv2d, array="torch"), which)(PROBLEM, a, b).tolist()


@pytest.mark.parametrize("which", GRADIENTS)
def test_gradients_come_out_where_they_are_turned_off(which):
    engine = wrap(conv2d, array="torch")
    with torch.no_grad():
        result = Conv(engine, which)(PROBLEM, *operands_of(which))
    assert result.tolist() == contract(which, PROBLEM, *operands_of(which)).tolist()


@pytest.mark.parametrize("layout", ["strided", "broadcast", "readonly"])
def test_an_upstream_gradient_may_be_laid_out_in_any_way(layout):
    upstream, w = operands_of(Map.GRAD_INPUT)
    laid_out = make(PROBLEM, "y", Fill("dense", 5, seed=1, layout=layout))
    expected = contract(Map.GRAD_INPUT, PROBLEM, np.ascontiguousarray(laid_out), w)
    assert upstream.shape == laid_out.shape
    assert expected.tolist() == Conv(wrap(conv2d, array="torch"), Map.GRAD_INPUT)(PROBLEM, laid_out, w).tolist()


@pytest.mark.parametrize("function", [detached, without_grad])
def test_a_function_that_does_not_differentiate_offers_no_gradient(function):
    engine = wrap(function, array="torch", ndim=2)
    assert (engine.capabilities.maps, engine.notes[-1]) == ((Map.FORWARD,), "gradients: none offered")


def test_low_precision_gradients_are_added_up_in_their_own_type():
    numerics = wrap(conv2d, array="torch").numerics
    assert [numerics.accumulator("bf16", which) for which in Map] == ["f32", "bf16", "bf16"]


def test_numpy_offers_no_gradient():
    engine = wrap(lambda X, K: np.correlate(X, K, "valid"), ndim=1)
    assert engine.capabilities.maps == (Map.FORWARD,)


def with_backward(by_bias, *, keeps=lambda _, gy: gy, saves=lambda array: array):
    """A convolution with a bias, whose gradient by the bias is ``by_bias(ctx, gy)``; what it ``saves`` of operands."""

    class Written(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, bias):
            ctx.save_for_backward(x, w)
            return torch.nn.functional.conv2d(x, w, bias)

        @staticmethod
        def backward(ctx, gy):
            x, w = map(saves, ctx.saved_tensors)
            gy = keeps(ctx, gy)
            gx, gw = (g(shape.shape, o, gy) for g, shape, o in ((grad_x, x, w), (grad_w, w, x)))
            return gx, gw, by_bias(ctx, gy) if ctx.needs_input_grad[2] else None

    def grad_x(shape, w, gy):
        return torch.nn.grad.conv2d_input(shape, w, gy)

    def grad_w(shape, x, gy):
        return torch.nn.grad.conv2d_weight(x, shape, gy)

    def conv2d(x, w, bias=None):
        return Written.apply(x, w, bias)

    return wrap(conv2d, array="torch", ndim=2)


def summed(_, gy):
    return gy.sum((0, 2, 3))


def judged_of(engine, law):
    """Whether cases of a law were judged, and whether any was violated."""
    few = Profile("few", pairs=False, triples=False, random=12, certifying=12, search=0)
    cases = (case for part in slices(engine, (BY_NAME[law],), few) for case in cases_of(engine, part, few, seed=0))
    verdicts = [examine(engine, case).verdict for case in cases]
    return any(v is not None for v in verdicts), any(v is not None and not v.ok for v in verdicts)


def doubled_after_the_first(ctx, gy):
    ctx.times = getattr(ctx, "times", 0) + 1
    return gy if ctx.times == 1 else 2 * gy


def test_a_gradient_by_a_bias_that_comes_back_with_others_only_is_offered_and_judged():
    engine = with_backward(lambda ctx, gy: summed(ctx, gy) if ctx.needs_input_grad[1] else None)
    assert ("bias" in engine.derivatives.roles, judged_of(engine, "bias-gradient")) == (True, (True, True))


def test_a_report_says_where_there_is_no_gradient_by_the_bias():
    engine = with_backward(lambda *_: None)
    assert engine.notes[-1] == "gradients: by autograd, none by the bias, twice"


@pytest.mark.parametrize(
    ("by_bias", "is_wrong"),
    [(summed, False), (lambda ctx, gy: summed(ctx, gy.detach()), True)],
    ids=["right", "without a graph"],
)
def test_the_gradient_by_a_bias_is_differentiated_too(by_bias, is_wrong):
    assert judged_of(with_backward(by_bias), "double-backward") == (True, is_wrong)


@pytest.mark.parametrize(("keeps", "is_wrong"), [(lambda _, gy: gy, False), (doubled_after_the_first, True)])
def test_a_call_is_gone_back_through_twice(keeps, is_wrong):
    assert judged_of(with_backward(summed, keeps=keeps), "gradients-together") == (True, is_wrong)


def test_an_interrupt_is_passed_on():
    def interrupted(x, w):
        if x.requires_grad:
            raise KeyboardInterrupt
        return torch.nn.functional.conv2d(x, w)

    with pytest.raises(KeyboardInterrupt):
        wrap(interrupted, array="torch", ndim=2)


def no_gradient_of_x(x, w):
    if x.requires_grad:
        raise RuntimeError("not implemented")
    return torch.nn.functional.conv2d(x, w)


def test_one_gradient_that_raises_is_offered_and_judged():
    assert wrap(no_gradient_of_x, array="torch", ndim=2).capabilities.maps == tuple(Map)


@pytest.mark.parametrize("detached", [False, True])
def test_second_derivatives_that_lack_a_share_in_silence_are_offered_and_judged(detached):
    engine = with_backward(summed, saves=torch.Tensor.detach if detached else lambda array: array)
    assert judged_of(engine, "double-backward") == (True, detached)


def test_a_gradient_that_says_it_cannot_be_differentiated_again_offers_no_second_one():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return torch.nn.functional.conv2d(x, w)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gy):
            x, w = ctx.saved_tensors
            shapes = x.shape, w.shape
            return torch.nn.grad.conv2d_input(shapes[0], w, gy), torch.nn.grad.conv2d_weight(x, shapes[1], gy)

    derivatives = wrap(Once.apply, name="once", array="torch").derivatives
    assert (derivatives.roles, derivatives.second) == (("x", "w"), None)
