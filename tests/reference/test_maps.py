"""The vectorised oracle equals the textbook's sums, element for element, in every arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference import maps
from convcheck.reference.definition import (
    correlate_by_definition,
    grad_input_by_definition,
    grad_weight_by_definition,
)
from convcheck.reference.maps import contract, exact, gather, scatter, taps
from convcheck.strategies import problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

small = problems(needs={"size": ("tiny", "unit-axis")}, work_limit=2_000)
floats = problems(needs={"size": ("tiny",), "kernel": ("small", "unit", "full")}, work_limit=400)

EVERYTHING = Problem(
    size=(4, 5),
    kernel=(2, 3),
    stride=(2, 1),
    padding=((1, 0), (0, 3)),
    dilation=(2, 2),
    batch=2,
    groups=2,
    channels=4,
    filters=6,
    bias=True,
    dtype="f64",
)


def operands_of(problem, which, kind="dense", limit=9):
    fill = Fill(kind, limit if kind == "dense" else 1, seed=1)
    with_bias = which is Map.FORWARD and problem.bias
    roles = (*which.roles, *(["bias"] if with_bias else []))
    return Operands(*(make(problem, role, fill) for role in roles))


def by_definition(which, problem, operands):
    names = ("stride", "padding", "dilation", "groups")
    options = {name: getattr(problem, name) for name in names}
    if which is Map.FORWARD:
        return correlate_by_definition(*operands, **options)
    if which is Map.GRAD_INPUT:
        return grad_input_by_definition(*operands[:2], size=problem.size, **options)
    return grad_weight_by_definition(*operands[:2], kernel=problem.kernel, **options)


@unhurried
@given(small, st.sampled_from(Map))
def test_every_map_equals_its_definition_on_integers(problem, which):
    operands = operands_of(problem, which)
    expected = by_definition(which, problem, operands)
    assert expected.tolist() == contract(which, problem, *operands, number=np.int64).tolist()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(floats, st.sampled_from(Map))
def test_every_map_equals_its_definition_in_fractions(problem, which):
    operands = operands_of(problem.replace(dtype="f64"), which, "normal")
    expected = by_definition(which, problem, operands)
    assert expected.tolist() == contract(which, problem, *operands, number=object).tolist()


@pytest.mark.parametrize("number", [np.float64, np.longdouble, np.int64, object])
@pytest.mark.parametrize("which", Map)
def test_every_arithmetic_gives_the_exact_sum_of_integers(which, number):
    operands = operands_of(EVERYTHING, which)
    expected = by_definition(which, EVERYTHING, operands).astype(int)
    assert expected.tolist() == contract(which, EVERYTHING, *operands, number=number).astype(int).tolist()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("which", Map)
def test_every_combination_of_stride_dilation_and_padding_equals_the_definition(which, ndim):
    for stride, dilation, low, high in product((1, 2), (1, 2), (0, 2), (0, 1)):
        problem = Problem(
            size=(4, 1, 2)[:ndim],
            kernel=(2, 1, 2)[:ndim],
            stride=(stride,) * ndim,
            dilation=(1, 1, dilation)[-ndim:],
            padding=((low, high),) * ndim,
            channels=2,
        )
        if problem.is_valid:
            operands = operands_of(problem, which)
            expected = by_definition(which, problem, operands)
            assert expected.tolist() == contract(which, problem, *operands).tolist(), problem


@pytest.mark.parametrize("which", Map)
def test_many_images_are_computed_some_at_a_time(which, monkeypatch):
    problem = Problem(size=(5, 4), kernel=(2, 3), batch=5, channels=2, filters=4, groups=2)
    a, b = (make(problem, role, Fill("dense", 9)) for role in which.roles)
    whole = contract(which, problem, a, b)
    monkeypatch.setattr(maps, "_COLUMNS", 250)
    assert contract(which, problem, a, b).tolist() == whole.tolist()


@pytest.mark.parametrize("number", [np.float64, object])
def test_a_kernel_that_does_not_fit_gives_an_empty_result(number):
    problem = Problem(size=(2,), kernel=(3,), channels=2, filters=3)
    operands = operands_of(problem, Map.FORWARD)
    assert contract(Map.FORWARD, problem, *operands, number=number).shape == (1, 3, 0)


@pytest.mark.parametrize("which", [Map.GRAD_INPUT, Map.GRAD_WEIGHT])
def test_gradients_of_a_kernel_that_does_not_fit_are_zero(which):
    problem = Problem(size=(2,), kernel=(3,), channels=2, filters=3)
    result = contract(which, problem, *operands_of(problem, which))
    assert result.tolist() == np.zeros(problem.shapes[which.result]).tolist()


@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize("changes", [{"batch": 0}, {"size": (0, 3)}])
def test_empty_inputs_give_results_of_the_right_shape(which, changes):
    problem = EVERYTHING.replace(bias=False, **changes)
    result = contract(which, problem, *operands_of(problem, which))
    assert result.shape == problem.shapes[which.result]


def test_a_bias_without_an_input_is_all_that_is_left():
    problem = Problem(size=(0,), kernel=(1,), padding=((1, 0),), filters=2, bias=True)
    operands = operands_of(problem, Map.FORWARD)
    expected = by_definition(Map.FORWARD, problem, operands)
    assert expected.tolist() == contract(Map.FORWARD, problem, *operands).tolist()


@pytest.mark.parametrize("layout", ["strided", "reversed", "transposed", "broadcast", "readonly"])
def test_the_layout_of_the_operands_does_not_matter(layout):
    x, w = (make(EVERYTHING, r, Fill("dense", 9, layout=layout)) for r in "xw")
    problem = EVERYTHING.replace(bias=False)
    expected = contract(Map.FORWARD, problem, x.copy(), w.copy())
    assert expected.tolist() == contract(Map.FORWARD, problem, x, w).tolist()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("i3 k2", [([0, 1], [0, 1]), ([1, 2], [0, 1])]),
        ("i5 k2 s2", [([0, 2], [0, 1]), ([1, 3], [0, 1])]),
        ("i3 k2 d2", [([0], [0]), ([2], [0])]),
        ("i2 k2 p1:0", [([0], [1]), ([0, 1], [0, 1])]),
        ("i2 k2 p0:1", [([0, 1], [0, 1]), ([1], [0])]),
        ("i1 k2 p3", [([0], [3]), ([0], [2])]),
        ("i1 k2 s3 p3", [([0], [1]), ([], [])]),
        ("i2 k3", [([], []), ([], []), ([], [])]),
    ],
)
def test_taps_relate_input_and_output_positions(line, expected):
    problem = Problem.parse(line)
    found = [(list(range(problem.size[0]))[q], list(range(problem.output[0]))[p]) for (q,), (p,) in taps(problem)]
    assert expected == found


@unhurried
@given(small)
def test_taps_are_exactly_the_pairs_with_q_equal_to_sp_plus_dk_less_the_padding(problem):
    related = [
        {(*q, *p) for q, p in zip(_grid(problem.size, inside), _grid(problem.output, out), strict=True)}
        for inside, out in taps(problem)
    ]
    expected = []
    for k in np.ndindex(*problem.kernel):
        pairs = set()
        for p in np.ndindex(*problem.output):
            axes = zip(problem.stride, p, problem.dilation, k, problem.padding, strict=True)
            q = tuple(s * at + d * tap - low for s, at, d, tap, (low, _) in axes)
            if all(0 <= at < size for at, size in zip(q, problem.size, strict=True)):
                pairs.add((*q, *p))
        expected.append(pairs)
    assert expected == related


def _grid(sizes, slices):
    return product(*(range(size)[part] for size, part in zip(sizes, slices, strict=True)))


def test_gather_puts_under_each_tap_what_each_output_sees():
    problem = Problem(size=(3,), kernel=(2,), padding=((1, 0),))
    assert gather(problem, np.array([[[1, 2, 3]]])).tolist() == [[[[0, 1, 2], [1, 2, 3]]]]


@unhurried
@given(small)
def test_scatter_is_the_adjoint_of_gather(problem):
    x = make(problem, "x", Fill("dense", 9)).astype(np.int64)
    columns = gather(problem, x)
    other = np.arange(columns.size).reshape(columns.shape) % 7 - 3
    assert (columns * other).sum() == (x * scatter(problem, other)).sum()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1, -2], np.int8), [1, -2]),
        (np.array([0.1, 2.0]), [Fraction(0.1), Fraction(2)]),
        (np.array([0.1], np.float32), [Fraction(float(np.float32(0.1)))]),
        (np.array([Fraction(1, 3)], object), [Fraction(1, 3)]),
        (np.array([np.inf, -np.inf]), [np.inf, -np.inf]),
        (np.zeros((0, 2)), []),
    ],
)
def test_exact_keeps_every_value(array, expected):
    assert expected == exact(array).tolist()
