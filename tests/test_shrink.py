"""Shrinking: the smallest case that a planted condition allows, and never one that does not fail."""

from __future__ import annotations

import itertools
from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.examine import examine
from convcheck.laws import BY_NAME
from convcheck.problem import Map
from convcheck.reference.maps import contract
from convcheck.shrink import MOVES, complexity, shrink
from convcheck.strategies import cases

OFFERED = Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES), tuple(Map), work_limit=2_000)
LARGE = Case.parse(
    "definition bf16 n3 g2 c8 o6 i17x9 k3x2 s2x3 p1:2x0 d2x1 x=dense:100#3 w=dense:9#4/strided b=dense:5#1"
)
SMALLEST = "definition f32 n1 g1 c1 o1 i1 k1 s1 p0 d1 x=zeros w=zeros"

#: what fails, by what it is, and the smallest case in which it does
PLANTED = {
    "always": (bool, SMALLEST),
    "stride": (lambda case: max(case.problem.stride) > 1, SMALLEST.replace("s1", "s2")),
    "dilation": (lambda case: max(case.problem.dilation) > 1, SMALLEST.replace("d1", "d2")),
    "stride and dilation": (
        lambda case: max(case.problem.stride) > 1 and max(case.problem.dilation) > 1,
        SMALLEST.replace("s1", "s2").replace("d1", "d2"),
    ),
    "padding at the end": (
        lambda case: any(high for _, high in case.problem.padding),
        SMALLEST.replace("p0", "p0:1"),
    ),
    "kernel": (lambda case: max(case.problem.kernel) > 2, SMALLEST.replace("k1", "k3").replace("p0", "p1")),
    "groups": (lambda case: case.problem.groups > 1, SMALLEST.replace("g1 c1 o1", "g2 c2 o2")),
    "channels of a group": (lambda case: case.problem.channels_per_group > 1, SMALLEST.replace("c1", "c2")),
    "filters of a group": (lambda case: case.problem.filters_per_group > 2, SMALLEST.replace("o1", "o3")),
    "batch": (lambda case: case.problem.batch > 1, SMALLEST.replace("n1", "n2")),
    "dtype": (lambda case: case.problem.dtype == "bf16", SMALLEST.replace("f32", "bf16")),
    "bias": (lambda case: case.problem.bias, SMALLEST + " b=zeros"),
    "layout": (lambda case: case.fills[1].layout != "contiguous", SMALLEST + "/strided"),
    "unequal axes": (
        lambda case: len(set(case.problem.size)) > 1,
        SMALLEST.replace("i1 k1 s1 p0 d1", "i2x1 k1x1 s1x1 p0x0 d1x1"),
    ),
    "two non-zeros of x": (
        lambda case: np.count_nonzero(case.operands().a) >= 2,
        SMALLEST.replace("i1", "i2").replace("x=zeros", "x=ones"),
    ),
    "a value above two": (
        lambda case: np.abs(case.operands().a.astype(float)).max() > 2,
        SMALLEST.replace("x=zeros", "x=points@0,0,0=3"),
    ),
}


def right(which, problem, operands):
    number = np.int64 if DTYPES[problem.dtype].kind == "i" else np.float64
    return contract(which, problem, *operands, number=number).astype(DTYPES[problem.dtype].numpy)


def failing(apply):
    engine = Engine("it", OFFERED, apply)

    def fails(case):
        verdict = examine(engine, case).verdict
        return verdict is not None and not verdict.ok

    return fails


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_condition_shrinks_to_the_smallest_case_in_which_it_holds(name):
    fails, expected = PLANTED[name]
    small = shrink(LARGE, fails)
    assert complexity(small) <= complexity(Case.parse(expected))
    assert fails(small)


@pytest.mark.parametrize("name", sorted(set(PLANTED) - {"two non-zeros of x"}))
def test_the_smallest_case_is_a_line_that_one_would_write_by_hand(name):
    fails, expected = PLANTED[name]
    assert expected == str(shrink(LARGE, fails))


def test_the_fewest_non_zeros_are_listed_one_by_one():
    fails, _ = PLANTED["two non-zeros of x"]
    assert "x=points@0,0,0=1;0,0,1=1" in str(shrink(LARGE, fails))


def test_a_dropped_tap_shrinks_to_one_product():
    def dropping(which, problem, operands):
        b = operands.b.copy()
        b[..., -1] = 0
        return right(which, problem, operands._replace(b=b))

    expected = "definition f32 n1 g1 c1 o1 i1 k1 s1 p0 d1 x=impulse@0,0,0 w=impulse@0,0,0"
    assert expected == str(shrink(LARGE, failing(dropping)))


def test_a_stride_that_is_ignored_shrinks_to_a_stride_of_two():
    def ignoring(which, problem, operands):
        plain = problem.replace(stride=(1,) * problem.ndim, bias=False)
        y = contract(which, plain, *operands[:2])[(..., *map(slice, problem.output))]
        return y.astype(DTYPES[problem.dtype].numpy)

    case = LARGE.replace(problem=LARGE.problem.replace(bias=False), fills=LARGE.fills[:2])
    small = shrink(case, failing(ignoring))
    assert (small.problem.ndim, max(small.problem.stride), max(small.problem.dilation)) == (1, 2, 1)


def test_an_end_of_the_operand_that_matters_is_kept_while_the_shape_shrinks():
    """The one non-zero lies at the far end; it moves towards the origin as the input becomes smaller."""
    case = Case.parse("definition i40 k3 x=points@0,0,39=5 w=ones")
    small = shrink(case, lambda c: np.count_nonzero(c.operands().a[..., -1]) > 0)
    assert str(small) == SMALLEST.replace("x=zeros", "x=impulse@0,0,0")


def test_a_gradient_shrinks_as_well():
    case = Case.parse("definition@grad_weight n3 c4 o6 g2 i9x9 k3x3 s2x1 gy=dense:9#1 x=dense:9#2")
    small = shrink(case, failing(lambda *args: right(*args) + 1))
    assert str(small) == "definition@grad_weight f32 n1 g1 c1 o1 i1 k1 s1 p0 d1 gy=zeros x=zeros"


def test_no_dtype_is_taken_that_would_change_the_operands():
    """In float32 257 stays 257; the move to a simpler dtype must not round operands, or the law would not speak."""
    case = Case.parse("definition f64 i3 k1 x=points@0,0,0=4503599627370497 w=ones")
    small = shrink(case, lambda c: c.operands().a.max() > 2**52)
    assert (small.problem.dtype, float(small.operands().a.max())) == ("f64", 2.0**52 + 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(
    st.sampled_from(["definition", "accuracy", "layout-free", "small-scope", "bias-adds"]), st.integers(0, 7), st.data()
)
def test_what_comes_back_fails_is_valid_and_is_no_more_complex(law, remainder, data):
    case = data.draw(cases(Engine("it", OFFERED, right), BY_NAME[law]))

    def fails(candidate):
        return crc32(str(candidate).encode()) % 8 != remainder or candidate == case

    small = shrink(case, fails)
    assert fails(small)
    assert (small.problem.is_valid, small.law, small.map) == (True, case.law, case.map)
    assert Case.parse(str(small)) == small


def test_a_case_that_fails_alone_is_kept():
    assert shrink(LARGE, lambda case: case == LARGE) == LARGE


def test_no_more_tries_are_made_than_allowed():
    counter = itertools.count()

    def fails(_):
        return next(counter) % 2 == 0

    shrink(LARGE, fails, tries=25)
    assert next(counter) <= 25


def test_no_time_means_no_try():
    assert shrink(LARGE, lambda _: True, seconds=-1.0) == LARGE


def test_every_move_proposes_cases_of_the_same_law_that_fit():
    for move in MOVES:
        for candidate in itertools.islice(move(LARGE), 200):
            assert (candidate.law, candidate.problem.is_valid) == (LARGE.law, True)
            assert len(candidate.fills) == len(candidate.roles)


@pytest.mark.parametrize(
    ("simpler", "harder"),
    [
        (SMALLEST, SMALLEST.replace("i1", "i2")),
        (SMALLEST, SMALLEST.replace("s1", "s2")),
        (SMALLEST.replace("f32", "f64"), SMALLEST),
        (SMALLEST, SMALLEST.replace("x=zeros", "x=ones")),
        (SMALLEST.replace("x=zeros", "x=impulse@0,0,0"), SMALLEST.replace("x=zeros", "x=ones")),
        (SMALLEST.replace("x=zeros", "x=ones"), SMALLEST.replace("x=zeros", "x=ramp")),
        (SMALLEST.replace("x=zeros", "x=ramp"), SMALLEST.replace("x=zeros", "x=dense:3#1")),
        (SMALLEST.replace("x=zeros", "x=dense:3#1"), SMALLEST.replace("x=zeros", "x=normal#1")),
        (SMALLEST.replace("x=zeros", "x=wide#1"), SMALLEST.replace("x=zeros", "x=zeros/strided")),
        (
            SMALLEST.replace("x=zeros", "x=points@0,0,0=3"),
            SMALLEST.replace("x=zeros", "x=points@0,0,0=5"),
        ),
        (
            SMALLEST.replace("x=zeros", "x=points@0,0,0=3"),
            SMALLEST.replace("x=zeros", "x=points@0,0,0=nan"),
        ),
    ],
)
def test_fewer_elements_then_smaller_parameters_then_plainer_fills_are_simpler(simpler, harder):
    assert complexity(Case.parse(simpler)) < complexity(Case.parse(harder))


def test_padding_by_name_is_given_up_where_it_does_not_matter():
    case = Case.parse("definition i5x5 k3x3 psame:1x1 x=ones w=ones")
    small = shrink(case, lambda c: max(c.problem.kernel) > 2)
    assert not small.problem.same


def test_padding_by_name_is_kept_where_it_matters():
    case = Case.parse("definition i5x5 k3x3 psame:1x1 x=ones w=ones")
    small = shrink(case, lambda c: c.problem.same)
    assert str(small) == SMALLEST.replace("p0", "psame:0")


def test_values_of_many_points_are_left_as_they_are():
    points = ";".join(f"0,0,{i}=5" for i in range(13))
    case = Case.parse(f"definition i13 k1 x=points@{points} w=zeros")
    small = shrink(case, lambda c: np.count_nonzero(c.operands().a == 5) == 13)
    assert small == case


def test_a_tail_of_a_vector_is_found_below_many_channels():
    case = Case.parse("definition f32 c257 i3 k2 x=ones w=ones")
    small = shrink(case, lambda c: c.problem.channels > 8 and c.problem.channels % 8 == 1)
    assert small.problem.channels == 9


@pytest.mark.parametrize(("index", "kept"), [(0, "0,0,0"), (-1, "0,0,4999")])
def test_the_one_element_that_matters_of_a_large_operand_is_found_at_its_ends(index, kept):
    case = Case.parse("definition f32 i5000 k1 x=dense:7#1 w=zeros")
    small = shrink(case, lambda c: c.problem.size == (5000,) and c.operands().a[0, 0, index] != 0)
    assert str(small.fills[0]) == f"impulse@{kept}"


def test_a_complex_point_shrinks_to_one_part():
    case = Case.parse("definition complex64 n1 g1 c1 o1 i3 k2 s1 p0 d1 x=dense:90#3 w=dense:9#4")
    small = shrink(case, lambda c: np.any(c.operands().a.imag))
    assert str(small) == "definition complex64 n1 g1 c1 o1 i1 k1 s1 p0 d1 x=points@0,0,0=1j w=zeros"


def test_of_two_large_numbers_the_one_of_fewer_bits_is_plainer():
    less, more = (
        Case.parse(f"definition f64 i1 k1 x=impulse@0,0,0 w=points@0,0,0={v}") for v in (2**24 + 1, 133571799)
    )
    assert complexity(less) < complexity(more)
