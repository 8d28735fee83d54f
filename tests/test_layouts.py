"""Layouts: equal values, and the memory that their names promise."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from convcheck.layouts import LAYOUTS, arrange, telltale

VALUES = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
KEEPING = sorted(set(LAYOUTS) - {"broadcast", "expanded"})


@pytest.mark.parametrize("dtype", ["f4", "i1", "u1", ml_dtypes.bfloat16])
@pytest.mark.parametrize("layout", KEEPING)
def test_every_layout_keeps_values_and_dtype(layout, dtype):
    array = VALUES.astype(dtype)
    laid_out = arrange(array, layout)
    assert (laid_out.tolist(), laid_out.dtype) == (array.tolist(), array.dtype)


@pytest.mark.parametrize("layout", KEEPING)
@pytest.mark.parametrize("shape", [(3,), (0,), (2, 0, 3), (1, 1), (0, 2, 3)])
def test_every_layout_takes_vectors_and_empty_arrays(layout, shape):
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    assert arrange(array, layout).tolist() == array.tolist()


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"contiguous"}))
def test_a_layout_shares_no_memory_with_what_it_was_made_of(layout):
    array = VALUES.copy()
    assert not np.shares_memory(array, arrange(array, layout))


def test_strided_takes_every_second_element_of_a_larger_array():
    assert arrange(VALUES, "strided").strides == (2 * 7 * 9 * 11 * 4, 2 * 9 * 11 * 4, 2 * 11 * 4, 2 * 4)


def test_reversed_has_negative_strides():
    assert arrange(VALUES, "reversed").strides == tuple(-s for s in VALUES.strides)


def test_transposed_exchanges_the_first_two_axes_in_memory():
    assert arrange(VALUES, "transposed").swapaxes(0, 1).flags.c_contiguous


def test_swapped_exchanges_the_last_two_axes_in_memory():
    assert arrange(VALUES, "swapped").swapaxes(-1, -2).flags.c_contiguous


def test_fortran_has_the_first_axis_fastest():
    assert arrange(VALUES, "fortran").flags.f_contiguous


def test_channels_last_has_the_channels_fastest():
    assert np.moveaxis(arrange(VALUES, "channels_last"), 1, -1).flags.c_contiguous


def test_spatial_first_has_the_filters_fastest_and_the_channels_next():
    assert arrange(VALUES, "spatial_first").transpose(2, 3, 1, 0).flags.c_contiguous


def test_offset_is_contiguous_in_the_middle_of_a_larger_buffer():
    array = arrange(VALUES, "offset")
    assert (array.flags.c_contiguous, array.base.size - array.size) == (True, 7)


def test_cropped_leaves_a_gap_after_every_row():
    assert arrange(VALUES, "cropped").strides == (3 * 4 * 10 * 4, 4 * 10 * 4, 10 * 4, 4)


def test_broadcast_repeats_the_first_entry_without_memory_of_its_own():
    array = arrange(VALUES, "broadcast")
    assert (array.strides[0], array.tolist()) == (0, [VALUES[0].tolist()] * 2)


def test_expanded_repeats_the_first_channel_without_memory_of_its_own():
    array = arrange(VALUES, "expanded")
    assert (array.strides[1], array.tolist()) == (0, [[image[0].tolist()] * 3 for image in VALUES])


def test_broadcast_takes_an_empty_array():
    assert arrange(VALUES[:0], "broadcast").shape == (0, 3, 4, 5)


def test_readonly_is_not_to_be_written():
    assert not arrange(VALUES, "readonly").flags.writeable


@pytest.mark.parametrize("layout", ["strided", "offset", "cropped"])
def test_memory_around_the_values_holds_the_telltale(layout):
    array = arrange(np.zeros((2, 3), np.float32), layout)
    base = array if array.base is None else array.base
    assert set(np.unique(base).tolist()) == {0, telltale(4)}


def test_the_telltale_fits_into_a_byte():
    array = arrange(np.zeros((2, 3), np.int8), "strided")
    assert set(np.unique(array.base).tolist()) == {0, telltale(1)}


def test_gaps_of_a_large_array_lie_along_its_last_axis_alone():
    array = np.zeros((40, 50, 10, 10, 10), np.int8)
    view = arrange(array, "strided")
    assert (view.base.size < 3 * array.size, view.strides[-1]) == (True, 2)
