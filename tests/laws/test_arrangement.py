"""The rearrangements that laws are written in."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from convcheck.laws.arrangement import bits, flat, flip, pad, stuff, subsample, wide
from convcheck.problem import Problem

ARRAY = np.arange(2 * 1 * 2 * 3).reshape(2, 1, 2, 3)


def test_flip_reverses_the_spatial_axes_only():
    assert flip(ARRAY)[0, 0].tolist() == [[5, 4, 3], [2, 1, 0]]


def test_flip_twice_is_nothing():
    assert flip(flip(ARRAY)).tolist() == ARRAY.tolist()


def test_subsample_takes_every_step_along_each_axis():
    assert subsample(ARRAY, (2, 2))[0, 0].tolist() == [[0, 2]]


def test_stuff_puts_zeros_between_neighbours():
    assert stuff(ARRAY, (2, 1))[0, 0].tolist() == [[0, 1, 2], [0, 0, 0], [3, 4, 5]]


def test_stuff_with_gaps_of_one_is_nothing():
    assert stuff(ARRAY, (1, 1)).tolist() == ARRAY.tolist()


def test_pad_surrounds_the_spatial_axes_by_zeros():
    problem = Problem(size=(2, 3), kernel=(1, 1), padding=((1, 0), (0, 2)))
    assert pad(ARRAY, problem)[0, 0].tolist() == [[0, 0, 0, 0, 0], [0, 1, 2, 0, 0], [3, 4, 5, 0, 0]]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("i1", np.int64), ("u1", np.int64), ("f4", np.longdouble), (ml_dtypes.bfloat16, np.longdouble)],
)
def test_wide_is_the_widest_type_of_the_kind(dtype, expected):
    assert wide(np.ones(2, dtype)).dtype == expected


@pytest.mark.parametrize(("dtype", "expected"), [("f4", "u4"), ("f8", "u8"), (ml_dtypes.bfloat16, "u2"), ("i1", "u1")])
def test_bits_tell_zeros_of_both_signs_apart(dtype, expected):
    found = bits(np.array([0.0, -0.0] if dtype != "i1" else [0, 1]).astype(dtype))
    assert (found.dtype, len(set(found.tolist()))) == (np.dtype(expected), 2)


def test_bits_tell_one_nan_from_another():
    two = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    assert len(set(bits(two).tolist())) == 2


def test_flat_puts_all_elements_in_a_row():
    assert flat(ARRAY[0], [7]).tolist() == [0, 1, 2, 3, 4, 5, 7]


def test_the_bits_of_complex_numbers_are_those_of_both_parts():
    assert bits(np.array([1 + 2j], np.complex64)).tolist() == np.array([1, 2], np.float32).view("u4").tolist()
