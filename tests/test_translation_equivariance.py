"""Shifting the input shifts the output, wherever the window stays inside: the first of the two principles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck import corr1d, corr2d, corr3d
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
LOOPS = {1: corr1d, 2: corr2d, 3: corr3d}


@st.composite
def shifted(draw):
    """Draw an input, a kernel and a shift along each axis, by less than there are outputs."""
    ndim = draw(st.integers(1, 3))
    kernel = draw(st.tuples(*[st.integers(1, 3)] * ndim))
    outputs = draw(st.tuples(*[st.integers(1, 4)] * ndim))
    shift = tuple(draw(st.integers(0, n - 1)) for n in outputs)
    size = tuple(n + k - 1 for n, k in zip(outputs, kernel, strict=True))
    generator = np.random.Generator(np.random.Philox(draw(st.integers(0, 99))))
    return generator.integers(-99, 100, size), generator.integers(-99, 100, kernel), shift


def moved(array, shift):
    """The array, moved towards the end of each axis; zeros come in at the start."""
    there, here = tuple(slice(s, None) for s in shift), tuple(slice(None, -s or None) for s in shift)
    result = np.zeros_like(array)
    result[there] = array[here]
    return result


@unhurried
@given(shifted())
def test_shifting_the_input_shifts_the_output(drawn):
    x, k, shift = drawn
    corr = LOOPS[x.ndim]
    y, y_moved = corr(x, k), corr(moved(x, shift), k)
    inside = tuple(slice(s, None) for s in shift)
    assert moved(y, shift)[inside].tolist() == y_moved[inside].tolist()


def test_a_moved_edge_is_found_where_it_moved_to():
    image = np.zeros((3, 6), int)
    image[:, 2:] = 1
    edges = corr2d(image, np.array([[-1, 1]]))
    assert corr2d(np.roll(image, 1, axis=1)[:, 1:], np.array([[-1, 1]])).tolist() == edges[:, :-1].tolist()


@unhurried
@given(shifted())
def test_where_the_window_stays_inside_it_does_not_matter_what_comes_in(drawn):
    x, k, shift = drawn
    corr = LOOPS[x.ndim]
    inside = tuple(slice(s, None) for s in shift)
    rolled, zeroed = (corr(array, k) for array in (np.roll(x, shift, tuple(range(x.ndim))), moved(x, shift)))
    assert rolled[inside].tolist() == zeroed[inside].tolist()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_with_a_stride_only_shifts_by_its_multiples_count(stride, dilation):
    problem = Problem(size=(20,), kernel=(3,), stride=(stride,), dilation=(dilation,), padding=((2, 0),))
    x = np.random.Generator(np.random.Philox(1)).integers(-99, 100, (1, 1, 20))
    w = np.array([[[5, -3, 2]]])
    y, y_moved = (
        contract(Map.FORWARD, problem, array, w, number=np.int64)[0, 0] for array in (x, moved(x, (0, 0, stride)))
    )
    first = -(-2 // stride)  # the first output whose window holds no padding
    assert y[first:-1].tolist() == y_moved[first + 1 :].tolist()


@pytest.mark.parametrize("shift", [1, 2])
def test_with_a_stride_of_three_a_shift_of_less_is_no_shift_of_the_output(shift):
    problem = Problem(size=(20,), kernel=(1,), stride=(3,))
    x = np.arange(20).reshape(1, 1, 20)
    y, y_moved = (
        contract(Map.FORWARD, problem, array, np.ones((1, 1, 1)))[0, 0] for array in (x, moved(x, (0, 0, shift)))
    )
    assert set(y.tolist()) & set(y_moved[1:].tolist()) == set()


@unhurried
@given(shifted())
def test_the_dense_weight_that_the_loops_realise_depends_on_the_offset_only(drawn):
    """Translation invariance and locality: w[i, q] is k[q - i] within the kernel's reach, and zero beyond."""
    x, k, _ = drawn
    dense = np.array([LOOPS[x.ndim](one, k) for one in np.eye(x.size, dtype=int).reshape(-1, *x.shape)])
    for q, response in zip(np.ndindex(x.shape), dense, strict=True):
        for i in np.ndindex(response.shape):
            offset = tuple(a - b for a, b in zip(q, i, strict=True))
            reached = all(0 <= d < n for d, n in zip(offset, k.shape, strict=True))
            assert response[i] == (k[offset] if reached else 0)
