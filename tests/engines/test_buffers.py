"""Functions that write their result into a buffer: it is poisoned, and what is never written shows."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.engines.base import Conv
from convcheck.engines.buffers import has_its_turn, poisoned
from convcheck.engines.signature import read_signature
from convcheck.engines.wrap import wrap
from convcheck.operands import Fill, make
from convcheck.plan import PROFILES
from convcheck.problem import Map, Problem
from convcheck.run import verify

FEW = PROFILES["smoke"].replace(random=6, certifying=20)
PROBLEM = Problem(size=(5, 6), kernel=(2, 3))


def correlate(X, K):
    if any(k > x for k, x in zip(K.shape, X.shape, strict=True)):
        raise ValueError(f"no correlation of {X.shape} and {K.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(X, K.shape)
    return np.einsum("pqij,ij->pq", windows, K)


def optional(X, K, out=None):
    result = correlate(X, K)
    if out is None:
        return result
    out[...] = result
    return out


def required(X, K, out):
    out[...] = correlate(X, K)


def accumulating(X, K, out=None):
    out = np.zeros(correlate(X, K).shape, X.dtype) if out is None else out
    out += correlate(X, K)
    return out


def unfinished(X, K, out):
    out[:, :-1] = correlate(X, K)[:, :-1]


def elsewhere(X, K, out=None):
    return correlate(X, K)


def judge(function, **options):
    return verify(function, laws=("definition", "shape-dtype-kept", "output-owned"), profile=FEW, ndim=2, **options)


@pytest.mark.parametrize("function", [optional, required, elsewhere])
def test_a_function_that_takes_a_buffer_conforms(function):
    assert judge(function, dtypes=("f32", "i32", "u8")).exit_code == 0


@pytest.mark.parametrize("dtype", ["f32", "f16", "i64", "u8"])
@pytest.mark.parametrize("function", [accumulating, unfinished])
def test_what_the_buffer_held_before_shows(function, dtype):
    violation = judge(function, dtypes=(dtype,)).violations[0]
    assert (violation.law, violation.case.problem.size) == ("definition", (1, 1))


@pytest.mark.parametrize("function", [accumulating, unfinished])
def test_what_shows_is_said_to_be_the_buffers(function):
    violation = judge(function, dtypes=("f32",)).violations[0]
    expected = "shows what the output buffer held: not written everywhere, or not cleared before adding"
    assert violation.words == expected


@pytest.mark.parametrize(
    ("function", "note"),
    [
        (optional, "output buffer: poisoned, given for every second size of the result"),
        (required, "output buffer: poisoned, given always"),
    ],
)
def test_the_buffer_is_noted(function, note):
    assert note in wrap(function, ndim=2).notes


def test_nothing_is_noted_without_a_buffer():
    assert not [note for note in wrap(correlate, ndim=2).notes if "buffer" in note]


@pytest.mark.parametrize(("size", "given"), [((5, 6), True), ((5, 7), False)])
def test_an_optional_buffer_is_given_in_turn(size, given):
    seen = []

    def target(X, K, out=None):
        seen.append(out is not None)
        return optional(X, K, out)

    engine, problem = wrap(target, ndim=2), PROBLEM.replace(size=size)
    seen.clear()
    x, w = (make(problem, role, Fill("dense", 3)) for role in ("x", "w"))
    Conv(engine)(problem, x, w)
    assert seen == [given]


def test_a_torch_function_is_given_a_tensor():
    torch = pytest.importorskip("torch")

    def layer(x, w, stride=1, padding=0, *, out):
        out.copy_(torch.nn.functional.conv2d(x, w, stride=stride, padding=padding))

    assert verify(layer, laws=("definition",), profile=FEW, ndim=2, array="torch").exit_code == 0


def test_a_transposed_convolution_is_given_a_buffer_of_its_result():
    assert poisoned(Map.GRAD_INPUT, PROBLEM).shape == PROBLEM.shapes["x"]


@pytest.mark.parametrize(("function", "buffer"), [(optional, "optional"), (required, "required"), (correlate, "")])
def test_the_signature_says_whether_a_buffer_is_needed(function, buffer):
    assert read_signature(function, "target").buffer == buffer


def test_a_single_element_has_its_turn():
    assert has_its_turn(Map.FORWARD, Problem(size=(1,), kernel=(1,)))
