"""The judge: shape before dtype before values, error <= bound, and where it is exceeded most."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convcheck.claim import Claim, judge

unhurried = settings(deadline=None)
NAN, INF = float("nan"), float("inf")


def claim(left, right, bound=0.0, dtype=np.float64, **options):
    return Claim(np.array(left, dtype), np.array(right, dtype), bound, **options)


def test_equal_arrays_agree():
    verdict = judge(claim([1, 2], [1, 2]))
    assert (verdict.ok, verdict.ratio, verdict.reason) == (True, 0.0, "")


def test_an_error_of_the_bound_is_allowed():
    verdict = judge(claim([1.5], [1], bound=0.5))
    assert (verdict.ok, verdict.ratio) == (True, 1.0)


def test_an_error_above_the_bound_is_not():
    verdict = judge(claim([1.75], [1], bound=0.5))
    assert (verdict.ok, verdict.ratio) == (False, 1.5)


def test_without_a_bound_any_error_is_infinitely_too_large():
    verdict = judge(claim([np.nextafter(1, 2)], [1]))
    assert (verdict.ok, verdict.ratio) == (False, INF)


@pytest.mark.parametrize(("left", "right"), [(NAN, 1.0), (1.0, NAN), (NAN, INF), (INF, NAN)])
@pytest.mark.parametrize("bound", [0.0, 1.0, 1e300])
def test_nan_agrees_with_no_number(left, right, bound):
    assert not judge(claim([left], [right], bound)).ok


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_nan_and_infinities_agree_with_themselves(value):
    assert judge(claim([value], [value])).ok


@pytest.mark.parametrize(("left", "right"), [(INF, -INF), (INF, 1.0), (1.0, INF)])
def test_an_infinity_agrees_with_nothing_else(left, right):
    assert not judge(claim([left], [right], bound=1.0)).ok


def test_a_bound_of_nan_excuses_nothing():
    assert not judge(claim([1], [2], bound=NAN)).ok


def test_an_infinite_bound_excuses_every_number():
    assert judge(claim([1], [2], bound=INF)).ok


def test_each_element_has_a_bound_of_its_own():
    bound = np.array([0.0, 1.0, 1.0])
    assert judge(claim([1, 3, 4], [1, 2, 2], bound)).index == (2,)


def test_the_worst_element_is_the_one_furthest_beyond_its_bound():
    verdict = judge(claim([[1, 5], [9, 1]], [[1, 1], [1, 1]], bound=np.array([[1, 1], [4, 1]])))
    assert (verdict.index, verdict.ratio) == ((0, 1), 4.0)


def test_the_reason_counts_the_elements_that_differ():
    assert judge(claim([1, 2, 3, NAN], [1, 0, 0, 0])).reason == "3 of 4 elements differ"


def test_the_note_of_a_claim_is_added_to_the_reason():
    assert judge(claim([1], [2], note="sizes")).reason == "1 of 1 elements differ (sizes)"


def test_the_verdict_shows_what_was_expected_and_what_came():
    verdict = judge(claim([1], [2]))
    assert (verdict.expected.tolist(), verdict.got.tolist()) == ([2], [1])


def test_shapes_are_compared_before_dtypes_and_values():
    wrong = Claim(np.zeros((1, 2), np.float32), np.ones((2, 1)), 9.0, same_dtype=True)
    assert judge(wrong).reason == "the shape is (1, 2), not (2, 1)"


def test_shapes_that_broadcast_do_not_agree():
    assert judge(claim([1], 1)).reason == "the shape is (1,), not ()"


def test_a_wrong_shape_is_told_where_the_bound_is_of_the_right_one():
    wrong = Claim(np.zeros((1, 2)), np.ones((3, 1)), np.ones((3, 1)))
    assert judge(wrong).reason == "the shape is (1, 2), not (3, 1)"


def test_dtypes_are_compared_before_values_where_they_are_claimed():
    wrong = Claim(np.zeros(1, ml_dtypes.bfloat16), np.ones(1, np.float32), same_dtype=True)
    assert judge(wrong).reason == "the dtype is bf16, not f32"


def test_dtypes_are_left_alone_where_they_are_not_claimed():
    assert judge(Claim(np.ones(1, np.float32), np.ones(1))).ok


def test_what_is_no_number_agrees_with_nothing():
    verdict = judge(Claim(np.array(["1"]), np.array([1.0])))
    assert (verdict.ok, verdict.reason) == (False, "the elements are of type <U1, which is no number")


def test_empty_arrays_of_one_shape_agree():
    verdict = judge(claim(np.zeros((0, 3)), np.zeros((0, 3))))
    assert (verdict.ok, verdict.weight) == (True, 0)


def test_empty_arrays_of_different_shapes_do_not_agree():
    assert not judge(claim(np.zeros((0, 3)), np.zeros((0, 2)))).ok


@pytest.mark.parametrize(
    ("right", "bound", "expected"),
    [([0, 0], 0.0, 0), ([1, 0], 0.0, 1), ([1, 2], 0.5, 2), ([1, 2], INF, 0), ([1, 2], np.array([INF, 0]), 1)],
)
def test_weight_counts_the_non_zeros_whose_error_is_bounded(right, bound, expected):
    assert expected == judge(claim(right, right, bound)).weight


def test_fractions_are_compared_exactly():
    third = np.array([Fraction(1, 3)], object)
    verdict = judge(Claim(np.array([1 / 3]), third))
    assert (verdict.ok, verdict.ratio) == (False, INF)


def test_the_error_against_a_fraction_is_exact():
    tenth = np.array([Fraction(1, 10)], object)
    error = abs(Fraction(0.1) - Fraction(1, 10))
    verdict = judge(Claim(np.array([0.1]), tenth, float(error) * 2))
    assert (verdict.ok, verdict.ratio) == (True, 0.5)


def test_a_float_agrees_with_the_fraction_that_it_is():
    assert judge(Claim(np.array([0.1]), np.array([Fraction(0.1)], object))).ok


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_no_special_value_agrees_with_a_fraction(value):
    halves = np.array([Fraction(1, 2)] * 2, object)
    verdict = judge(Claim(np.array([0.5, value]), halves, 1.0))
    assert (verdict.ok, verdict.index, verdict.reason) == (False, (1,), "1 of 2 elements differ")


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "u8", "?"])
def test_integers_are_compared_as_they_are(dtype):
    assert judge(claim([0, 1], [0, 1], dtype=dtype)).ok
    assert judge(claim([0, 1], [0, 0], dtype=dtype)).index == (1,)


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_large_integers_that_differ_in_the_last_bit_do_not_agree(dtype):
    verdict = judge(claim([2**62 + 1], [2**62], dtype=dtype))
    assert (verdict.ok, verdict.ratio) == (False, INF)


def test_bytes_do_not_wrap_around_when_they_are_subtracted():
    assert not judge(claim([0], [255], bound=1.0, dtype="u1")).ok


def test_bfloat16_is_compared_by_value():
    left, right = (np.array(v, ml_dtypes.bfloat16) for v in ([1, NAN, 3], [1, NAN, 2]))
    assert judge(Claim(left, right)).index == (2,)


def test_complex_numbers_are_compared_by_magnitude():
    assert judge(claim([1 + 1j], [1 + 0j], bound=1.0, dtype="c16")).ratio == 1.0


def test_float64_is_compared_with_a_longer_reference():
    reference = np.array([1], np.longdouble) + np.longdouble(2) ** -60
    assert judge(Claim(np.ones(1), reference)).ok == (reference[0] == 1)


@unhurried
@given(hnp.arrays(np.float64, 4), hnp.arrays(np.float64, 4), st.floats(0, 1e300))
def test_what_passes_has_no_error_above_its_bound(left, right, bound):
    verdict = judge(Claim(left, right, bound))
    with np.errstate(all="ignore"):
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        error = np.abs(left.astype(np.longdouble) - right).astype(np.float64)
        expected = bool(np.all(same | (error <= bound)))
    assert expected == verdict.ok
