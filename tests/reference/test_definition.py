"""The definition in exact arithmetic: worked by hand, adjoint to itself, and strict about what it takes."""

from __future__ import annotations

from fractions import Fraction
from math import prod

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convcheck.errors import DtypeError, ShapeError
from convcheck.reference.definition import (
    correlate_by_definition,
    grad_input_by_definition,
    grad_weight_by_definition,
)

# A slow machine is not a failure.
unhurried = settings(deadline=None)


@st.composite
def layers(draw):
    """Draw (x, w, gy, options) of one small layer of 0 to 2 axes, integers throughout."""
    ndim, groups, fan_in, fan_out, batch = (draw(st.integers(low, 2)) for low in (0, 1, 1, 1, 1))
    kernel, stride, dilation = (draw(st.tuples(*[st.integers(1, 2)] * ndim)) for _ in range(3))
    padding = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * ndim))
    size = tuple(
        max(1, d * (k - 1) + 1 - lo - hi) + draw(st.integers(0, 2))
        for d, k, (lo, hi) in zip(dilation, kernel, padding, strict=True)
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def integers(*shape):
        return draw(hnp.arrays(np.int64, shape, elements=st.integers(-9, 9)))

    x = integers(batch, groups * fan_in, *size)
    w = integers(groups * fan_out, fan_in, *kernel)
    gy = integers(*correlate_by_definition(x, w, **options).shape)
    return x, w, gy, options


def test_the_definition_strides_pads_and_dilates_as_worked_out_by_hand():
    """Over 0 1 2 3 4 0 0, taps two apart, every second position."""
    y = correlate_by_definition(
        np.array([[[1, 2, 3, 4]]]),
        np.array([[[1, 10]]]),
        stride=[2],
        padding=[(1, 2)],
        dilation=[2],
        groups=1,
    )
    assert y.tolist() == [[[20, 42, 4]]]


def test_the_definition_keeps_groups_apart():
    y = correlate_by_definition(
        np.array([[[1], [2], [3], [4]]]),
        np.array([[[1], [10]], [[100], [1000]]]),
        stride=[1],
        padding=[(0, 0)],
        dilation=[1],
        groups=2,
    )
    assert y.tolist() == [[[21], [4300]]]


def test_the_definition_adds_the_bias_of_each_filter():
    options = {"stride": [1], "padding": [(1, 0)], "dilation": [1], "groups": 1}
    y = correlate_by_definition(np.zeros((1, 1, 2)), np.zeros((2, 1, 1)), np.array([0.5, -1]), **options)
    assert y.tolist() == [[[0.5] * 3, [-1] * 3]]


@pytest.mark.parametrize(("dtype", "exact"), [(np.int8, int), (np.float32, Fraction)])
def test_the_definition_is_in_ints_for_integers_and_in_fractions_for_floats(dtype, exact):
    """Every element, padding included."""
    bare = {"stride": [1], "padding": [(3, 0)], "dilation": [1], "groups": 1}
    y = correlate_by_definition(np.ones((1, 1, 3), dtype), np.ones((1, 1, 2), dtype), **bare)
    assert {type(value) for value in y.flat} == {exact}


def test_the_definition_neither_overflows_nor_rounds():
    bare = {"stride": [1], "padding": [(0, 0)], "dilation": [1], "groups": 1}
    x = np.array([[[1e300, 1, -1e300]]])
    y = correlate_by_definition(x, np.array([[[1e300, 1, 1e300]]]), **bare)
    assert y.tolist() == [[[1]]]


def test_the_definition_reads_bfloat16_exactly():
    bare = {"stride": [1], "padding": [(0, 0)], "dilation": [1], "groups": 1}
    x = np.array([[[0.1]]], ml_dtypes.bfloat16)
    assert correlate_by_definition(x, x, **bare).item() == Fraction(205, 2048) ** 2


@unhurried
@given(layers())
def test_the_three_definitions_are_adjoint_to_each_other(layer):
    """The one trilinear form <y, gy> = <x, gx> = <w, gw>, exactly."""
    x, w, gy, options = layer
    y = correlate_by_definition(x, w, **options)
    gx = grad_input_by_definition(gy, w, size=x.shape[2:], **options)
    gw = grad_weight_by_definition(gy, x, kernel=w.shape[2:], **options)
    assert (gx.shape, gw.shape) == (x.shape, w.shape)
    assert (y * gy).sum() == (x * gx).sum() == (w * gw).sum()


@unhurried
@given(layers())
def test_the_definition_counts_every_product_once(layer):
    """Of ones without padding, every output is the number of products it sums."""
    x, w, _, options = layer
    inside = options | {"padding": [(0, 0)] * (x.ndim - 2)}
    large = np.ones((*x.shape[:2], *(n + 8 for n in x.shape[2:])), int)
    counts = correlate_by_definition(large, np.ones_like(w), **inside)
    assert set(counts.flat) == {prod(w.shape[1:])}


def test_the_input_gradient_spreads_each_output_over_the_taps_it_read():
    gx = grad_input_by_definition(
        np.array([[[1, 100]]]),
        np.array([[[2, 3]]]),
        size=[4],
        stride=[2],
        padding=[(1, 0)],
        dilation=[1],
        groups=1,
    )
    assert gx.tolist() == [[[3, 200, 300, 0]]]


def test_the_weight_gradient_sums_what_each_tap_read():
    gw = grad_weight_by_definition(
        np.array([[[1, 100]]]),
        np.array([[[1, 2, 3, 4]]]),
        kernel=[2],
        stride=[2],
        padding=[(1, 0)],
        dilation=[1],
        groups=1,
    )
    assert gw.tolist() == [[[200, 301]]]


def test_the_gradients_take_exact_values():
    bare = {"stride": [1], "padding": [(0, 0)], "dilation": [1], "groups": 1}
    third = np.array([[[Fraction(1, 3)]]], object)
    gx = grad_input_by_definition(third, np.array([[[3]]]), size=[1], **bare)
    assert gx.tolist() == [[[1]]]


GOOD = {
    "x": np.ones((1, 2, 4)),
    "w": np.ones((2, 2, 3)),
    "b": None,
    "stride": [1],
    "padding": [(0, 0)],
    "dilation": [1],
    "groups": 1,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.ones((1, 2))}, r"one rank, of 2 or more, got shapes \[\(1, 2\), \(2, 2, 3\)\]"),
        ({"x": np.ones(2), "w": np.ones(2)}, r"one rank, of 2 or more, got shapes \[\(2,\), \(2,\)\]"),
        ({"x": np.ones((1, 3, 4))}, r"w must be of shape \(2, 3, 3\), not \(2, 2, 3\)"),
        ({"x": np.ones((1, 2, 2))}, r"the kernel is larger than the padded input: .*size=\(2,\)"),
        ({"dilation": [2]}, r"the kernel is larger than the padded input: .*dilation=\[2\]"),
        ({"b": np.ones(3)}, r"b must be of shape \(2,\), not \(3,\)"),
        ({"w": np.ones((2, 2, 0))}, r"must be at least 1: .*kernel=\(0,\)"),
        ({"stride": [0]}, r"must be at least 1: .*stride=\[0\]"),
        ({"groups": 0}, r"must be at least 1: .*groups=0"),
        ({"groups": 3}, r"groups must divide channels and filters: .*groups=3"),
        ({"stride": [1, 1]}, r"differ in their axes: .*stride=\[1, 1\]"),
    ],
)
def test_an_impossible_layer_is_an_error_that_shows_its_values(change, message):
    with pytest.raises(ShapeError, match=message):
        correlate_by_definition(**(GOOD | change))


def test_a_layer_without_axes_is_a_matrix_product():
    x, w = np.arange(6).reshape(3, 2), np.arange(4).reshape(2, 2)
    y = correlate_by_definition(x, w, stride=[], padding=[], dilation=[], groups=1)
    assert y.tolist() == (x @ w.T).tolist()


@pytest.mark.parametrize(
    "array", [np.ones((1, 2, 4), "c16"), np.ones((1, 2, 4), bool), np.full((1, 2, 4), 0.5, object)]
)
def test_what_has_no_exact_value_is_an_error(array):
    with pytest.raises(DtypeError, match="exact arithmetic takes"):
        correlate_by_definition(**(GOOD | {"x": array}))


@pytest.mark.skipif(np.dtype("g").itemsize <= 8, reason="longdouble is float64 on this platform")
def test_a_float_wider_than_a_python_float_is_an_error():
    with pytest.raises(DtypeError, match=f"floats up to float64, got {np.dtype('g')}"):
        correlate_by_definition(**(GOOD | {"x": np.ones((1, 2, 4), "g")}))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error(value):
    with pytest.raises((ValueError, OverflowError), match="integer ratio"):
        correlate_by_definition(**(GOOD | {"x": np.full((1, 2, 4), value)}))
