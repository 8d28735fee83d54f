"""Problems: derived sizes, one line of text there and back, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.dtypes import DTYPES
from convcheck.errors import ParseError, ShapeError
from convcheck.problem import Map, Problem, output_size, same_padding
from convcheck.strategies import problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LAYER = Problem(
    size=(5, 7),
    kernel=(3, 2),
    stride=(2, 1),
    padding=((1, 0), (2, 2)),
    dilation=(1, 3),
    batch=2,
    groups=2,
    channels=6,
    filters=4,
    bias=True,
)


@pytest.mark.parametrize(
    ("expected", "size", "kernel", "options"),
    [
        (4, 4, 1, {}),
        (2, 3, 2, {}),
        (1, 3, 3, {}),
        (0, 3, 4, {}),
        (2, 5, 3, {"stride": 2}),
        (2, 6, 3, {"stride": 2}),
        (7, 5, 3, {"padding": (2, 2)}),
        (6, 5, 3, {"padding": (1, 2)}),
        (1, 5, 3, {"dilation": 2}),
        (0, 4, 3, {"dilation": 2}),
        (0, 1, 5, {"stride": 10}),
    ],
)
def test_output_size_is_the_textbook_formula(expected, size, kernel, options):
    assert expected == output_size(size, kernel, **options)


@unhurried
@given(
    size=st.integers(0, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.integers(1, 4),
)
def test_output_size_counts_the_positions_at_which_the_kernel_fits(size, kernel, stride, padding, dilation):
    last = size + sum(padding) - dilation * (kernel - 1)
    expected = len(range(0, max(0, last), stride))
    assert expected == output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)


def test_what_is_left_out_is_a_plain_problem_of_one_image_channel_and_filter():
    expected = "f32 n1 g1 c1 o1 i5x4 k2x2 s1x1 p0x0 d1x1"
    assert expected == str(Problem(size=(5, 4), kernel=(2, 2)))


def test_every_field_is_on_the_line():
    assert str(LAYER) == "f32 n2 g2 c6 o4 i5x7 k3x2 s2x1 p1:0x2 d1x3 bias"


def test_padding_by_name_is_on_the_line():
    same = Problem(size=(5,), kernel=(2,), padding=((0, 1),), same=True)
    assert str(same) == "f32 n1 g1 c1 o1 i5 k2 s1 psame:0:1 d1"


def test_padding_by_the_name_that_pads_the_low_end_first_is_on_the_line():
    lower = Problem(size=(5,), kernel=(2,), same=True, lower=True)
    assert str(lower) == "f32 n1 g1 c1 o1 i5 k2 s1 psame-lower:1:0 d1"


def test_which_end_comes_first_says_nothing_where_padding_is_given():
    assert Problem(size=(5,), kernel=(2,), lower=True) == Problem(size=(5,), kernel=(2,))


@pytest.mark.parametrize(
    ("size", "reach", "stride", "expected"),
    [(5, 3, 1, (1, 1)), (5, 4, 1, (1, 2)), (6, 3, 2, (0, 1)), (5, 3, 2, (1, 1)), (7, 2, 3, (0, 1)), (4, 1, 3, (0, 0))],
)
def test_same_padding_leaves_as_many_positions_as_strides_begin(size, reach, stride, expected):
    assert same_padding(size, reach, stride=stride) == expected
    assert output_size(size, reach, stride=stride, padding=expected) == -(-size // stride)


def test_same_padding_puts_the_odd_element_at_the_end_that_is_asked_for():
    assert same_padding(5, 4, lower=True) == (2, 1)


def test_the_line_of_a_problem_with_every_field_parses_back():
    assert Problem.parse(str(LAYER)) == LAYER


@unhurried
@given(problems(dtypes=tuple(DTYPES)))
def test_the_line_of_any_problem_parses_back(problem):
    assert Problem.parse(str(problem)) == problem


@pytest.mark.parametrize("dtype", ["i8", "i16", "i32", "i64", "f32"])
@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_a_size_that_reads_like_a_dtype_parses_back(dtype, size):
    problem = Problem(size=(size,), kernel=(2,), dtype=dtype)
    assert Problem.parse(str(problem)) == problem


def test_a_line_without_a_dtype_may_begin_with_a_size_that_reads_like_one():
    assert Problem.parse("i8 k2") == Problem(size=(8,), kernel=(2,))


def test_only_sizes_need_to_be_on_a_line():
    assert Problem.parse("i5 k2") == Problem(size=(5,), kernel=(2,))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("i5 k2 q3", "'q3' is not a word of a problem"),
        ("i5 k2 s", "'s' is not a word of a problem"),
        ("i5 k2 p1:2:3", "'p1:2:3' is not a word of a problem"),
        ("i5 k2 n-1", "'n-1' is not a word of a problem"),
        ("i5 k2 i6", "'i6' gives size a second time"),
        ("f32 i5", "lacks kernel"),
        ("", "lacks kernel and size"),
    ],
)
def test_what_cannot_be_read_is_shown(line, message):
    with pytest.raises(ParseError, match=message):
        Problem.parse(line)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": (1,)}, "unequal numbers of axes"),
        ({"size": (), "kernel": (), "stride": (), "padding": (), "dilation": ()}, "no spatial axis"),
        ({"dtype": "f8"}, "dtype other than f64, f32"),
        ({"padding": ((-1, 0), (0, 0))}, "negative size"),
        ({"size": (-1, 3)}, "negative size"),
        ({"batch": -1}, "negative size"),
        ({"kernel": (0, 1)}, "zero where at least 1"),
        ({"stride": (0, 1)}, "zero where at least 1"),
        ({"dilation": (1, 0)}, "zero where at least 1"),
        ({"groups": 0}, "zero where at least 1"),
        ({"channels": 0}, "zero where at least 1"),
        ({"channels": 5}, "groups that do not divide"),
        ({"filters": 3}, "groups that do not divide"),
    ],
)
def test_what_is_no_convolution_is_refused(changes, message):
    with pytest.raises(ShapeError, match=message):
        LAYER.replace(**changes)


def test_a_refusal_shows_the_problem():
    with pytest.raises(ShapeError, match=r"the problem f32 n1 g1 c1 o1 i3 k0 s1 p0 d1 has a zero"):
        Problem(size=(3,), kernel=(0,))


def test_a_refused_problem_without_sizes_is_shown_too():
    with pytest.raises(ShapeError, match="no spatial axis"):
        Problem(size=(), kernel=())


def test_reach_is_the_extent_of_the_dilated_kernel():
    assert LAYER.reach == (3, 4)


def test_output_has_one_size_an_axis():
    assert LAYER.output == (2, 8)


def test_shapes_are_those_of_a_batched_layer():
    expected = {"x": (2, 6, 5, 7), "w": (4, 3, 3, 2), "y": (2, 4, 2, 8), "bias": (4,), "xbias": (6,)}
    assert expected == LAYER.shapes


def test_a_group_has_its_share_of_channels_and_filters():
    assert (LAYER.channels_per_group, LAYER.filters_per_group) == (3, 2)


@pytest.mark.parametrize(
    ("which", "expected"),
    [(Map.FORWARD, 3 * 6), (Map.GRAD_INPUT, 2 * 6), (Map.GRAD_WEIGHT, 2 * 16)],
)
def test_terms_are_the_products_that_one_element_sums(which, expected):
    assert expected == LAYER.terms(which)


def test_work_counts_the_multiply_adds():
    assert LAYER.work == 2 * 4 * 3 * (3 * 2) * (2 * 8)


@pytest.mark.parametrize(
    ("line", "expected"),
    [("i3 k3", True), ("i2 k3", False), ("i2 k3 p1", True), ("i0 k3", True), ("i3x2 k3x3", False)],
)
def test_a_problem_is_valid_where_the_kernel_fits_or_there_is_no_input(line, expected):
    assert expected == Problem.parse(line).is_valid


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Map.FORWARD, ("x", "w", "y")),
        (Map.GRAD_INPUT, ("y", "w", "x")),
        (Map.GRAD_WEIGHT, ("y", "x", "w")),
    ],
)
def test_each_map_contracts_two_roles_into_the_third(which, expected):
    assert expected == (*which.roles, which.result)
