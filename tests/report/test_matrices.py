"""Small arrays as matrices."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from convcheck.report.matrices import Block, beside, blocks, is_small, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(3), "3"),
        (np.float64(-0.0), "-0"),
        (np.float32(0.1), "0.1"),
        (np.float64(0.1), "0.1"),
        (np.float32(16777217.0), "16777216"),
        (np.float64(1e300), "1e+300"),
        (np.float64("nan"), "nan"),
        (np.float64("-inf"), "-inf"),
        (ml_dtypes.bfloat16(1.5), "1.5"),
        (np.int64(-(2**62)), str(-(2**62))),
        (np.int16(-(2**15)), "-32768"),
        (np.longdouble(1) / 3, str(np.longdouble(1) / 3)),
        (2**70, str(2**70)),
        (np.complex128(1 + 2j), "1+2j"),
        (np.True_, "True"),
    ],
)
def test_a_number_is_written_with_the_digits_that_count(value, text):
    assert number(value) == text


def test_columns_are_aligned():
    (block,) = blocks("x", np.array([[[[1, -20], [300, 4]]]]))
    assert block.lines == ("x      ", "  1 -20", "300   4")


def test_every_matrix_of_an_array_has_its_index_in_the_title():
    titles = [block.title for block in blocks("x", np.zeros((1, 2, 1, 3)))]
    assert titles == ["x[0, 0]", "x[0, 1]"]


def test_without_spatial_extent_batch_and_channels_are_one_matrix():
    (block,) = blocks("x", np.arange(4).reshape(2, 2, 1, 1))
    assert (block.title, block.rows) == ("x[:, :, 0, 0]", ("0 1", "2 3"))


@pytest.mark.parametrize("array", [np.array(7), np.array([7]), np.full((1, 1, 1), 7)])
def test_arrays_of_few_axes_are_one_row(array):
    assert [block.rows for block in blocks("b", array)] == [("7",)]


def test_an_empty_array_shows_its_shape():
    (block,) = blocks("y", np.zeros((1, 0, 3)))
    assert block.rows == ("empty, of shape (1, 0, 3)",)


def test_bit_patterns_are_hexadecimal():
    (block,) = blocks("y", np.array([255], np.uint32), bits=True)
    assert block.rows == ("0xff",)


@pytest.mark.parametrize(
    ("array", "small"),
    [(None, False), (np.zeros((8, 8)), True), (np.zeros(65), False), (np.full((1, 40), 1000), False)],
)
def test_small_means_few_elements_that_fit_the_width(array, small):
    assert is_small([array], 80) == small


def test_blocks_stand_side_by_side_and_wrap_at_the_width():
    shown = [Block(title, ("12", "34")) for title in "abc"]
    assert list(beside(shown, 8)) == ["a    b", "12   12", "34   34", "c", "12", "34"]


def test_blocks_of_unequal_height_keep_their_columns():
    shown = [Block("a", ("1", "2")), Block("b", ("3",)), Block("c", ("4", "5"))]
    assert list(beside(shown, 80)) == ["a   b   c", "1   3   4", "2       5"]
