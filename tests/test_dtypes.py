"""Element types: precision, rounding and range as NumPy and ml_dtypes have them."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest

from convcheck.dtypes import DTYPES, name_of

FLOATS = [d for d in DTYPES.values() if d.kind == "f"]
INTEGERS = [d for d in DTYPES.values() if d.kind == "i"]
NAME = attrgetter("name")


def test_the_names_are_those_of_the_issue_trackers():
    assert list(DTYPES) == ["f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=NAME)
def test_the_largest_exact_integer_is_kept(dtype):
    largest = 2**dtype.precision - (dtype.kind == "i")
    assert int(np.array(largest).astype(dtype.numpy).real) == largest


@pytest.mark.parametrize("dtype", FLOATS, ids=NAME)
def test_the_next_integer_is_rounded(dtype):
    assert float(np.array(2.0**dtype.precision + 1).astype(dtype.numpy)) == 2.0**dtype.precision


@pytest.mark.parametrize("dtype", FLOATS, ids=NAME)
def test_unit_roundoff_is_half_the_distance_from_one_to_the_next_number(dtype):
    one = np.array(1, dtype.numpy)
    gap = float(np.nextafter(one, np.array(2, dtype.numpy))) - 1
    assert gap / 2 == dtype.unit_roundoff


@pytest.mark.parametrize("dtype", FLOATS, ids=NAME)
def test_the_smallest_subnormal_is_the_first_number_after_zero(dtype):
    expected = float(np.nextafter(np.array(0, dtype.numpy), np.array(1, dtype.numpy)))
    assert expected == dtype.smallest_subnormal


@pytest.mark.parametrize("dtype", FLOATS, ids=NAME)
def test_products_over_the_range_of_exponents_neither_overflow_nor_become_subnormal(dtype):
    low, high = dtype.exponents
    smallest_normal = dtype.smallest_subnormal * 2 ** (dtype.precision - 1)
    assert smallest_normal < 2.0 ** (2 * low)
    assert 2.0 ** (2 * (high + 1)) < dtype.largest


def test_the_parts_of_a_complex_number_are_floats():
    assert [DTYPES[name].part for name in ("complex64", "complex128", "f32")] == [np.float32, np.float64, np.float32]


@pytest.mark.parametrize("dtype", INTEGERS, ids=NAME)
def test_integers_do_not_round(dtype):
    assert (dtype.unit_roundoff, dtype.smallest_subnormal) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "expected"), [("i8", 127.0), ("u8", 255.0), ("f16", 65504.0), ("f32", float(np.finfo("f4").max))]
)
def test_the_largest_number_is_the_type_s_own(name, expected):
    assert expected == DTYPES[name].largest


@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_low_precision_floats_are_summed_in_float32(name):
    assert DTYPES[name].accumulator == "f32"


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=NAME)
def test_a_numpy_dtype_is_called_by_convcheck_s_name(dtype):
    assert name_of(dtype.numpy) == dtype.name


def test_a_dtype_without_a_name_is_called_by_numpy_s():
    assert name_of(np.dtype("c8")) == "complex64"
