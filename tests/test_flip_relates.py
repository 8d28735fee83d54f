"""Convolution is cross-correlation with the kernel flipped on every axis."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import signal

from convcheck import corr1d, corr2d, corr3d
from convcheck.problem import Map
from convcheck.reference.maps import contract
from convcheck.strategies import operands, problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
LOOPS = {1: corr1d, 2: corr2d, 3: corr3d}
SMALL = {"size": ("tiny",), "kernel": ("small", "unit", "even", "odd", "mixed", "full")}


@st.composite
def bare(draw):
    """Draw an input and a kernel that fits into it, of integers, with 1 to 3 axes."""
    problem = draw(problems(dtypes=("i64",), features=(), needs=SMALL))
    drawn = draw(operands(problem, recipe="tiny"))
    return drawn.a[0, 0], drawn.b[0, 0]


@unhurried
@given(bare())
def test_correlation_with_the_flipped_kernel_is_convolution(drawn):
    x, k = drawn
    expected = signal.convolve(x, k, "valid", method="direct")
    assert expected.tolist() == LOOPS[x.ndim](x, np.flip(k)).tolist()


def test_correlation_and_convolution_differ_on_the_textbook_s_kernel():
    x, k = np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2)
    assert corr2d(x, k).tolist() == [[19, 25], [37, 43]]
    assert corr2d(x, np.flip(k)).tolist() == [[5, 11], [23, 29]]


@unhurried
@given(bare())
def test_correlation_and_convolution_are_equal_for_a_symmetric_kernel(drawn):
    x, k = drawn
    symmetric = k + np.flip(k)
    expected = signal.convolve(x, symmetric, "valid", method="direct")
    assert expected.tolist() == LOOPS[x.ndim](x, symmetric).tolist()


@unhurried
@given(bare())
def test_flipping_both_operands_flips_the_result(drawn):
    x, k = drawn
    corr = LOOPS[x.ndim]
    assert np.flip(corr(x, k)).tolist() == corr(np.flip(x), np.flip(k)).tolist()


@unhurried
@given(bare())
def test_full_convolution_commutes_and_full_correlation_is_flipped(drawn):
    x, k = drawn
    forth = LOOPS[x.ndim](np.pad(x, [(n - 1, n - 1) for n in k.shape]), k)
    back = LOOPS[x.ndim](np.pad(k, [(n - 1, n - 1) for n in x.shape]), x)
    assert np.flip(forth).tolist() == back.tolist()


@unhurried
@given(problems(dtypes=("i64",), needs={"size": ("tiny",), "bias": ("no",)}, work_limit=500), st.data())
def test_the_layer_relates_in_the_same_way_channel_by_channel(problem, data):
    problem = problem.replace(stride=(1,) * problem.ndim)
    x, w, _ = data.draw(operands(problem, recipe="tiny"))
    x = np.pad(x, ((0, 0), (0, 0), *problem.padding))
    expected = np.zeros(problem.shapes["y"], np.int64)
    for n, o, c in np.ndindex(problem.batch, *w.shape[:2]):
        dilated = np.zeros(problem.reach, np.int64)
        dilated[tuple(slice(None, None, d) for d in problem.dilation)] = w[o, c]
        channel = o // problem.filters_per_group * problem.channels_per_group + c
        expected[n, o] += signal.convolve(x[n, channel], np.flip(dilated), "valid", method="direct")
    bare = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
    assert expected.tolist() == contract(Map.FORWARD, bare, x, w, number=np.int64).tolist()
