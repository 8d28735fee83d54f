"""Hand-written backwards: read by their signature, told what the function is told, and offered as gradients."""

from __future__ import annotations

import pytest

from convcheck.engines.base import Conv
from convcheck.engines.wrap import wrap
from convcheck.errors import TargetRaisedError, UnsupportedError, UsageError
from convcheck.operands import Fill, make
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract
from convcheck.run import verify

PROBLEM = Problem(size=(7, 6), kernel=(2, 3), stride=(2, 1), padding=((1, 1), (0, 0)), batch=2, channels=2, filters=3)
GRADIENTS = (Map.GRAD_INPUT, Map.GRAD_WEIGHT)


def problem_of(x, w, stride, padding):
    return Problem(
        size=x.shape[2:], kernel=w.shape[2:], stride=stride, padding=tuple((p, p) for p in padding),
        batch=x.shape[0], channels=x.shape[1], filters=w.shape[0],
    )  # fmt: skip


def conv2d(x, w, stride=(1, 1), padding=(0, 0)):
    return contract(Map.FORWARD, problem_of(x, w, stride, padding), x, w).astype(x.dtype)


def conv2d_backward(grad_out, x, w, stride=(1, 1), padding=(0, 0)):
    problem = problem_of(x, w, stride, padding)
    grad_x, grad_w = contract(Map.GRAD_INPUT, problem, grad_out, w), contract(Map.GRAD_WEIGHT, problem, grad_out, x)
    return grad_x.astype(x.dtype), grad_w.astype(w.dtype)


def of_the_input_only(grad_out, x, w, stride=(1, 1), padding=(0, 0)):
    return conv2d_backward(grad_out, x, w, stride, padding)[0], None


def without_stride(grad_out, x, w):
    return conv2d_backward(grad_out, x, w)


def raising(*_, stride=(1, 1), padding=(0, 0)):
    raise ValueError(f"no gradients today, of stride {stride} and padding {padding}")


def of_two(grad_out, x):
    return grad_out, x


def bare(X, K):
    return conv2d(X[None, None], K[None, None])[0, 0]


def bare_backward(grad_out, X, K):
    grad_x, grad_w = conv2d_backward(grad_out[None, None], X[None, None], K[None, None])
    return grad_x[0, 0], grad_w[0, 0]


def wrapped(vjp):
    return wrap(conv2d, vjp=vjp, ndim=2, dtypes=("f32",))


def operands_of(which, problem=PROBLEM):
    return [make(problem, role, Fill("dense", 5, seed=1)) for role in which.roles]


@pytest.mark.parametrize("which", GRADIENTS)
def test_a_backward_offers_both_gradients_with_the_parameters_of_the_function(which):
    a, b = operands_of(which)
    assert Conv(wrapped(conv2d_backward), which)(PROBLEM, a, b).tolist() == contract(which, PROBLEM, a, b).tolist()


def test_a_backward_is_named_in_the_notes():
    engine = wrapped(f"{__name__}:conv2d_backward")
    assert engine.notes[-1] == f"gradients: by {__name__}:conv2d_backward"


@pytest.mark.parametrize("which", GRADIENTS)
def test_a_bare_backward_is_called_on_spatial_arrays(which):
    plain = Problem(size=(5, 6), kernel=(2, 3))
    a, b = operands_of(which, plain)
    got = Conv(wrap(bare, vjp=bare_backward, ndim=2), which)(plain, a, b)
    assert got.tolist() == contract(which, plain, a, b).tolist()


def test_none_stands_for_a_gradient_that_is_not_computed():
    assert wrapped(of_the_input_only).capabilities.maps == (Map.FORWARD, Map.GRAD_INPUT)


def test_what_a_backward_does_not_take_is_not_judged():
    with pytest.raises(UnsupportedError, match="without_stride takes no stride and no padding"):
        Conv(wrapped(without_stride), Map.GRAD_INPUT)(PROBLEM, *operands_of(Map.GRAD_INPUT))


def test_a_backward_that_raises_is_offered_and_judged():
    engine = wrapped(raising)
    with pytest.raises(TargetRaisedError, match="no gradients today"):
        Conv(engine, Map.GRAD_INPUT)(PROBLEM, *operands_of(Map.GRAD_INPUT))


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (of_two, "takes grad_out, x: a backward takes the upstream gradient, an input and a kernel"),
        (lambda *a: a[1], r"returned an array of shape \(1, 1, 5, 6\), not \(grad_x, grad_w\) or"),
        (lambda *_: (None, None), r"returned \(None, None\): no gradient of the input or of the kernel"),
        (lambda *_: "twice", "returned 'twice', not"),
        ("no.such.module:backward", "cannot import 'no.such.module'"),
    ],
)
def test_what_is_no_backward_is_refused_with_what_it_takes_or_returned(backward, message):
    with pytest.raises(UsageError, match=message):
        wrapped(backward)


def flipped(grad_out, x, w, stride=(1, 1), padding=(0, 0)):
    return conv2d_backward(grad_out, x, w[..., ::-1], stride, padding)


def test_a_wrong_backward_is_diagnosed_in_the_words_of_the_forward():
    report = verify(conv2d, vjp=flipped, ndim=2, dtypes=("f32",), laws=["definition"], profile="smoke")
    (violation,) = report.violations
    assert (violation.words, violation.case.map) == ("grad_input: kernel not flipped along axis 1", Map.GRAD_INPUT)


def test_workers_find_a_backward_by_its_name():
    report = verify(
        f"{__name__}:conv2d", vjp=f"{__name__}:conv2d_backward", ndim=2, dtypes=("f32",), laws=["mirrors", "local"],
        profile="smoke", isolate=True,
    )  # fmt: skip
    assert (report.ok, report.notes[-1]) == (True, f"gradients: by {__name__}:conv2d_backward")
