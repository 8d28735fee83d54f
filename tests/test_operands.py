"""Operands: the same numbers for the same words, on every platform and with every NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.dtypes import DTYPES
from convcheck.errors import ParseError
from convcheck.layouts import LAYOUTS
from convcheck.operands import FILLS, Fill, make
from convcheck.problem import Problem
from convcheck.strategies import problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PROBLEM = Problem(size=(2, 3), kernel=(2, 2), channels=2, dtype="f64", bias=True)
ROLES = ("x", "w", "y", "bias")

#: first three elements of x; floats as hexadecimal, so that a changed last bit shows
GOLDEN = {
    "dense:7#3": ("0x1.0000000000000p+1", "-0x1.0000000000000p+0", "-0x1.0000000000000p+2"),
    "sparse:7#3": ("0x0.0p+0", "0x0.0p+0", "-0x1.0000000000000p+2"),
    "structured:7#3": ("0x1.0000000000000p+1",) * 3,
    "extreme": ("-0x1.0000000000000p+0",) * 3,
    "taps#19": ("0x0.0p+0", "0x1.0000000000000p+0", "0x0.0p+0"),
    "constant#3": ("0x1.0318f86aa61ddp-2",) * 3,
    "ramp": ("0x0.0p+0", "0x1.0000000000000p+0", "0x1.0000000000000p+1"),
    "ones": ("0x1.0000000000000p+0", "0x1.0000000000000p+0", "0x1.0000000000000p+0"),
    "zeros": ("0x0.0p+0", "0x0.0p+0", "0x0.0p+0"),
    "points@0,0,0,1=3;0,0,0,2=-0.5": ("0x0.0p+0", "0x1.8000000000000p+1", "-0x1.0000000000000p-1"),
    "normal#1": ("0x1.9921bdca0c8b4p+0", "-0x1.7fc2830718eeap-1", "0x1.91d694523eefap-11"),
    "positive#2": ("0x1.fb37ef93fdeb4p-2", "0x1.86c8defb9e94ap-2", "0x1.0b764462c9018p-4"),
    "wide#4": ("-0x1.59a610bfc43b1p-61", "0x1.76272bd3d1290p-276", "-0x1.45e2654b848cep-174"),
    **{
        f"{kind}{axis}:9#5": ("-0x1.0000000000000p+2", "0x1.0000000000000p+0", "-0x1.8000000000000p+1")
        for kind in ("paired", "opposed")
        for axis in (0, 1, 2)
    },
}


@st.composite
def fills(draw):
    """Draw a fill of any kind that prints; it shrinks to zeros."""
    kind = draw(st.sampled_from(("zeros", *sorted(set(FILLS) - {"zeros"}))))
    layout = draw(st.sampled_from(tuple(LAYOUTS)))
    if kind == "points":
        index = st.tuples(*[st.integers(0, 12)] * draw(st.integers(1, 5)))
        value = st.floats(allow_nan=False) | st.integers(-(2**60), 2**60).map(float)
        points = draw(st.lists(st.tuples(index, value), max_size=4))
        return Fill(kind, points=tuple(points), layout=layout)
    limit = draw(st.integers(1, 2**61)) if kind in ("dense", "sparse", "structured") or kind[-1] in "012" else 1
    seeded = kind not in ("zeros", "ones", "ramp", "extreme")
    return Fill(kind, limit, draw(st.integers(0, 2**40)) if seeded else 0, layout=layout)


def test_every_kind_of_fill_has_golden_values():
    assert {word.partition(":")[0].partition("#")[0].partition("@")[0] for word in GOLDEN} == set(FILLS)


@pytest.mark.parametrize("word", GOLDEN)
def test_a_fill_gives_the_same_numbers_everywhere(word):
    array = make(PROBLEM, "x", Fill.parse(word))
    assert GOLDEN[word] == tuple(float(value).hex() for value in array.ravel()[:3])


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("x", [2, -1, -4, -6, -5, 4, 2, 1, -7, -4, 6, -1]),
        ("w", [4, -6, -2, -6, 2, 5, 6, -3]),
        ("y", [-3, 5]),
        ("bias", [-7]),
    ],
)
def test_every_role_has_numbers_of_its_own(role, expected):
    assert expected == make(PROBLEM, role, Fill.parse("dense:7#3")).ravel().tolist()


@unhurried
@given(problems(dtypes=tuple(DTYPES)), fills(), st.sampled_from(ROLES))
def test_the_same_words_give_the_same_operand(problem, fill, role):
    one = make(problem, role, fill)
    two = make(Problem.parse(str(problem)), role, Fill.parse(str(fill)))
    assert one.tobytes() == two.tobytes()


@unhurried
@given(problems(dtypes=tuple(DTYPES)), fills(), st.sampled_from(ROLES))
def test_an_operand_has_the_shape_of_its_role_and_the_problem_s_dtype(problem, fill, role):
    array = make(problem, role, fill)
    assert (array.shape, array.dtype) == (problem.shapes[role], DTYPES[problem.dtype].numpy)


@unhurried
@given(fills())
def test_the_word_of_any_fill_parses_back(fill):
    assert Fill.parse(str(fill)) == fill


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        (Fill("dense", 7, 3), "dense:7#3"),
        (Fill("ramp", layout="strided"), "ramp/strided"),
        (Fill("sparse", 7, 3), "sparse:7#3"),
        (Fill("structured", 7, 3, layout="swapped"), "structured:7#3/swapped"),
        (Fill("constant", seed=3), "constant#3"),
        (Fill("extreme"), "extreme"),
        (Fill("taps", seed=3), "taps#3"),
        (Fill("normal", seed=2), "normal#2"),
        (Fill("points", points=(((0, 0, 1), 1.0),)), "impulse@0,0,1"),
        (Fill("points", points=(((0, 1), 3.0), ((2, 0), -0.5))), "points@0,1=3;2,0=-0.5"),
        (Fill("points", points=(((0, 1), float("inf")),)), "points@0,1=inf"),
        (Fill("points", points=(((0, 1), float("nan")),)), "points@0,1=nan"),
    ],
)
def test_a_fill_is_one_short_word(fill, expected):
    assert expected == str(fill)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("dense:7#", "'dense:7#' is not a fill such as"),
        ("Dense", "'Dense' is not a fill such as"),
        ("", "'' is not a fill such as"),
        ("gauss#3", "no fill is called 'gauss'; there are dense, ramp"),
        ("ramp/sideways", "no layout is called 'sideways'; there are contiguous"),
        ("points@0,a=3", "'0,a=3' is not a point"),
        ("points@0,0=three", "'0,0=three' is not a point"),
        ("dense:0", "limit is a number in 1.*, not 0"),
        (f"dense:{10**30}", "limit is a number in 1.*, not 1000"),
    ],
)
def test_what_is_no_fill_is_shown(word, message):
    with pytest.raises(ParseError, match=message):
        Fill.parse(word)


@unhurried
@given(problems(dtypes=("f32", "i16")), st.integers(1, 9), st.integers(0, 99))
def test_dense_integers_are_non_zero_and_at_most_the_limit(problem, limit, seed):
    magnitudes = np.abs(make(problem, "x", Fill("dense", limit, seed)).astype(int))
    assert (magnitudes.min() >= 1, magnitudes.max() <= limit) == (True, True)


def test_dense_integers_have_both_signs_and_reach_the_limit():
    values = set(make(Problem(size=(100,), kernel=(1,)), "x", Fill("dense", 3)).ravel().tolist())
    assert values == {-3, -2, -1, 1, 2, 3}


def test_dense_integers_are_positive_where_the_dtype_has_no_sign():
    values = set(make(Problem(size=(100,), kernel=(1,), dtype="u8"), "x", Fill("dense", 3)).ravel().tolist())
    assert values == {1, 2, 3}


@pytest.mark.parametrize("role", ["x", "w", "bias"])
def test_sparse_integers_are_dense_ones_of_which_half_are_zero_and_the_first_too(role):
    problem = Problem(size=(100,), kernel=(90,), filters=80)
    sparse, dense = (make(problem, role, Fill(kind, 9, 3)).ravel() for kind in ("sparse", "dense"))
    assert (sparse[0], sparse[-1]) == (0, dense[-1])
    assert sparse.tolist() == np.where(sparse, dense, 0).tolist()
    assert 0.3 < np.count_nonzero(sparse) / sparse.size < 0.7


@unhurried
@given(problems(dtypes=("f32", "i16", "u8")), st.integers(1, 9), st.integers(0, 99))
def test_structured_weights_are_one_integer_a_filter_but_for_one_unit(problem, limit, seed):
    w = make(problem, "w", Fill("structured", limit, seed)).astype(int).reshape(problem.filters, -1)
    common = w[:, :1] if w.shape[1] < 3 else np.median(w, axis=1, keepdims=True).astype(int)
    assert np.abs(w).max() <= limit
    assert w.shape[1] < 3 or np.abs(w - common).sum(axis=1).tolist() == [1] * problem.filters


@unhurried
@given(problems(dtypes=("f64", "f32", "f16", "bf16")), st.integers(0, 99))
def test_a_constant_is_one_number_everywhere(problem, seed):
    x = make(problem, "x", Fill("constant", seed=seed)).astype(float)
    assert (x.min(), 0.25 <= abs(x.flat[0]) <= 0.5) == (x.max(), True)


def test_constants_have_both_signs_and_full_length_mantissas():
    problem = Problem(size=(1,), kernel=(1,), dtype="f64")
    values = [float(make(problem, "x", Fill("constant", seed=seed)).flat[0]) for seed in range(50)]
    assert {value > 0 for value in values} == {True, False}
    assert sum(value != float(np.float32(value)) for value in values) > 45


def test_a_ramp_starts_again_before_the_dtype_stops_being_exact():
    array = make(Problem(size=(300,), kernel=(1,), dtype="bf16"), "x", Fill("ramp")).ravel()
    assert array.astype(int).tolist() == [*range(256), *range(44)]


def test_points_outside_the_shape_are_left_out():
    fill = Fill.parse("points@0,0,1,1=5;0,0,9,9=7;0,0=7")
    assert np.argwhere(make(PROBLEM, "x", fill)).tolist() == [[0, 0, 1, 1]]


def test_paired_operands_repeat_each_first_channel_but_for_one_unit():
    x = make(PROBLEM, "x", Fill("paired1", 9, 5))
    assert np.abs(x[0, 1] - x[0, 0]).tolist() == np.ones((2, 3)).tolist()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_opposed_weights_cancel_along_their_axis(axis):
    problem = Problem(size=(3,), kernel=(2,), channels=2, filters=2)
    w = make(problem, "w", Fill(f"opposed{axis}", 9, 5))
    assert np.count_nonzero(w.sum(axis=axis)) == 0


def test_opposed_inputs_negate_what_lies_a_stride_before():
    problem = Problem(size=(8,), kernel=(2,), stride=(3,))
    x = make(problem, "x", Fill("opposed2", 9, 5))[0, 0].tolist()
    assert [-v for v in x[:5]] == x[3:]


def test_a_channel_without_a_partner_is_left_as_it_is():
    problem = Problem(size=(3,), kernel=(1,), channels=3)
    x = make(problem, "x", Fill("opposed1", 9, 1))
    assert x[0, 2].tolist() == make(problem, "x", Fill("dense", 9, 1))[0, 2].tolist()


@unhurried
@given(problems(dtypes=("f64", "f32", "f16", "bf16")), st.sampled_from(("normal", "positive", "wide", "constant")))
def test_floats_are_finite(problem, kind):
    assert np.isfinite(make(problem, "x", Fill(kind)).astype(np.float64)).all()


def test_positive_floats_lie_above_zero_and_up_to_one():
    array = make(Problem(size=(1000,), kernel=(1,), dtype="f64"), "x", Fill("positive"))
    assert (array.min() > 0, array.max() <= 1, abs(array.mean() - 0.5) < 0.05) == (True, True, True)


def test_normal_floats_are_centred_with_unit_deviation():
    array = make(Problem(size=(10_000,), kernel=(1,), dtype="f64"), "x", Fill("normal"))
    assert (abs(array.mean()) < 0.05, abs(array.std() - 1) < 0.05) == (True, True)


def test_wide_floats_reach_both_ends_of_the_range_of_exponents():
    array = make(Problem(size=(1000,), kernel=(1,), dtype="f32"), "x", Fill("wide"))
    exponents = np.frexp(np.abs(array))[1] - 1
    assert (exponents.min(), exponents.max()) == DTYPES["f32"].exponents


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"broadcast", "expanded"}))
def test_a_layout_leaves_the_values_alone(layout):
    plain, laid_out = (make(PROBLEM, "x", Fill("dense", 7, layout=name)) for name in ("contiguous", layout))
    assert plain.tolist() == laid_out.tolist()


def test_an_empty_batch_has_operands_too():
    assert make(PROBLEM.replace(batch=0), "x", Fill("dense", 7)).shape == (0, 2, 2, 3)


def test_fills_larger_than_the_dtype_become_infinite_without_a_warning():
    array = make(PROBLEM.replace(dtype="f16"), "x", Fill("points", points=(((0, 0, 0, 0), 1e6),)))
    assert float(array[0, 0, 0, 0]) == np.inf


# -- complex numbers -------------------------------------------------------------------------------------------


def test_both_parts_of_complex_integers_are_dense():
    x = make(Problem(size=(50,), kernel=(1,), dtype="complex64"), "x", Fill("dense", 7, 3))
    assert np.all((np.abs(x.real) >= 1) & (np.abs(x.real) <= 7) & (np.abs(x.imag) >= 1) & (np.abs(x.imag) <= 7))
    assert x.real.tolist() != x.imag.tolist()


@pytest.mark.parametrize(("value", "word"), [(2 - 3j, "2-3j"), (1j, "1j"), (-0.5j, "-0.5j"), (4 + 0j, "4")])
def test_a_complex_point_is_on_the_word_and_parses_back(value, word):
    fill = Fill("points", points=(((0, 0, 0), value),))
    assert str(fill) == f"points@0,0,0={word}"
    assert Fill.parse(str(fill)) == fill


def test_a_complex_point_is_in_the_operand():
    problem = Problem(size=(2,), kernel=(1,), dtype="complex128")
    assert make(problem, "x", Fill.parse("points@0,0,1=2-3j")).tolist() == [[[0, 2 - 3j]]]


@pytest.mark.parametrize(
    ("dtype", "farthest"), [("i8", -128), ("i16", -(2**15)), ("i32", -(2**31)), ("i64", -(2**63)), ("u8", 255)]
)
def test_the_extreme_integer_is_the_one_of_the_dtype_that_is_farthest_from_zero(dtype, farthest):
    problem = Problem(size=(4,), kernel=(2,), dtype=dtype)
    assert set(make(problem, "x", Fill("extreme")).ravel().tolist()) == {farthest}


def test_one_tap_of_each_filter_is_one():
    problem = Problem(size=(4, 4), kernel=(2, 3), channels=4, filters=6, groups=2)
    taps = make(problem, "w", Fill("taps", seed=5)).reshape(6, -1)
    assert (taps.sum(axis=1).tolist(), set(taps.ravel())) == ([1] * 6, {0, 1})
