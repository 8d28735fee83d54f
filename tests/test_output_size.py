"""A kernel of size k slides over n elements to n - k + 1 places, on every axis."""

from __future__ import annotations

from math import floor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck import Problem, corr1d, corr2d, corr3d
from convcheck.errors import ShapeError
from convcheck.problem import Map
from convcheck.reference.definition import correlate_by_definition
from convcheck.reference.maps import contract
from convcheck.strategies import problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LOOPS = {1: corr1d, 2: corr2d, 3: corr3d}


@st.composite
def sizes(draw, *, fits=True):
    """Draw the sizes of an input and of a kernel, of 1 to 3 axes; on one axis it may not fit."""
    kernel = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    size = [k + draw(st.integers(0, 4)) for k in kernel]
    if not fits:
        axis = draw(st.integers(0, len(kernel) - 1))
        kernel[axis] = size[axis] + draw(st.integers(1, 3))
    return tuple(size), tuple(kernel)


@unhurried
@given(sizes())
def test_the_loops_give_n_less_k_plus_one_on_every_axis(drawn):
    size, kernel = drawn
    expected = tuple(n - k + 1 for n, k in zip(size, kernel, strict=True))
    assert expected == LOOPS[len(size)](np.ones(size), np.ones(kernel)).shape


@unhurried
@given(sizes())
def test_a_problem_has_n_less_k_plus_one_on_every_axis(drawn):
    size, kernel = drawn
    expected = tuple(n - k + 1 for n, k in zip(size, kernel, strict=True))
    assert expected == Problem(size=size, kernel=kernel).output


@unhurried
@given(sizes())
def test_an_output_that_is_padded_back_has_the_size_of_the_input(drawn):
    size, kernel = drawn
    padding = tuple(((k - 1) // 2, k // 2) for k in kernel)
    assert size == Problem(size=size, kernel=kernel, padding=padding).output


@unhurried
@given(sizes(fits=False))
def test_a_kernel_that_does_not_fit_has_no_output(drawn):
    size, kernel = drawn
    with pytest.raises(ShapeError, match="no larger than the input"):
        LOOPS[len(size)](np.ones(size), np.ones(kernel))
    assert not Problem(size=size, kernel=kernel).is_valid


@unhurried
@given(problems(needs={"size": ("tiny", "unit-axis")}, work_limit=100))
def test_with_every_parameter_it_is_the_floor_of_the_formula(problem):
    expected = tuple(
        floor((n + low + high - d * (k - 1) - 1) / s) + 1
        for n, k, s, (low, high), d in zip(
            problem.size, problem.kernel, problem.stride, problem.padding, problem.dilation, strict=True
        )
    )
    assert expected == problem.output


@unhurried
@given(problems(needs={"size": ("tiny", "unit-axis"), "kernel": ("small", "unit", "mixed")}, work_limit=100))
def test_the_definition_and_the_oracle_give_the_same_sizes(problem):
    x, w = (np.ones(problem.shapes[role], int) for role in "xw")
    options = {name: getattr(problem, name) for name in ("stride", "padding", "dilation", "groups")}
    expected = (problem.batch, problem.filters, *problem.output)
    assert correlate_by_definition(x, w, **options).shape == expected
    assert contract(Map.FORWARD, problem, x, w).shape == expected
