"""The textbook loops: the example, dtypes, and errors that show the shapes."""

from __future__ import annotations

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal

from convcheck.errors import DtypeError, ShapeError
from convcheck.reference import corr1d, corr2d, corr3d
from convcheck.reference.definition import correlate_by_definition

# A slow machine is not a failure.
unhurried = settings(deadline=None)

CORRELATIONS = {1: corr1d, 2: corr2d, 3: corr3d}
IMAGE = np.arange(9).reshape(3, 3)
KERNEL = np.arange(4).reshape(2, 2)
EXAMPLE = [[19, 25], [37, 43]]


@st.composite
def bare_operands(draw):
    """Draw an array and a kernel that fits into it, of 1 to 3 axes; both shrink to single zeros."""
    kernel = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    size = tuple(k + draw(st.integers(0, 3)) for k in kernel)
    integers = st.integers(-1000, 1000)
    return draw(hnp.arrays(np.int64, size, elements=integers)), draw(hnp.arrays(np.int64, kernel, elements=integers))


def test_corr2d_gives_the_textbook_example():
    assert corr2d(IMAGE, KERNEL).tolist() == EXAMPLE


def test_corr1d_slides_the_kernel_without_flipping_it():
    assert corr1d(np.array([1, 2, 3, 4]), np.array([1, 10])).tolist() == [21, 32, 43]


def test_corr3d_of_a_volume_with_ones_sums_every_block():
    volume = np.arange(8).reshape(2, 2, 2)
    assert corr3d(volume, np.ones((2, 2, 1), int)).tolist() == [[[12, 16]]]


@unhurried
@given(bare_operands())
def test_the_loops_agree_exactly_with_scipy_on_integers(operands):
    x, k = operands
    expected = signal.correlate(x, k, mode="valid", method="direct")
    np.testing.assert_array_equal(CORRELATIONS[x.ndim](x, k), expected)


@pytest.mark.parametrize(
    "dtype",
    ["f8", "f4", "f2", ml_dtypes.bfloat16, "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16", "g"],
)
def test_the_result_keeps_the_dtype(dtype):
    result = corr2d(IMAGE.astype(dtype), KERNEL.astype(dtype))
    assert (result.dtype, result.astype(complex).real.tolist()) == (np.dtype(dtype), EXAMPLE)


@pytest.mark.parametrize(("dtype", "big"), [("f2", 2048), (ml_dtypes.bfloat16, 256)])
def test_narrow_floats_are_accumulated_in_float32(dtype, big):
    """In the dtype itself the sum would never leave `big`: 1 is half a unit in its last place."""
    x = np.array([big, 1, 1], dtype)
    assert corr1d(x, np.ones(3, dtype)).astype(float).tolist() == [big + 2]


def test_narrow_products_are_not_rounded_before_they_are_summed():
    """The products overflow float16 and cancel."""
    x = np.array([300, 300], np.float16)
    assert corr1d(x, np.array([300, -300], np.float16)).tolist() == [0]


def test_integers_wrap_around_in_their_own_dtype():
    assert corr1d(np.array([100, 100], np.int8), np.ones(2, np.int8)).tolist() == [-56]


def test_complex_numbers_are_not_conjugated():
    assert corr1d(np.array([1j]), np.array([1j])).tolist() == [-1]


def test_the_operands_are_left_unchanged():
    image, kernel = IMAGE.copy(), KERNEL.copy()
    corr2d(image, kernel)
    assert (image.tolist(), kernel.tolist()) == (IMAGE.tolist(), KERNEL.tolist())


def test_read_only_and_strided_operands_are_taken():
    image = np.broadcast_to(np.arange(6)[::-2], (3, 3))
    assert corr2d(image, KERNEL).tolist() == corr2d(image.copy(), KERNEL).tolist()


def test_a_memory_mapped_array_is_taken(tmp_path):
    image = np.memmap(tmp_path / "image", np.int64, "w+", shape=(3, 3))
    image[:] = IMAGE
    assert corr2d(image, KERNEL).tolist() == EXAMPLE


@pytest.mark.parametrize("rank", CORRELATIONS)
def test_a_wrong_rank_is_an_error_that_shows_the_shapes(rank):
    with pytest.raises(ShapeError, match=rf"corr{rank}d .* rank {rank}, got shapes \(5, 5, 5, 5\) and \(2,\)"):
        CORRELATIONS[rank](np.ones((5, 5, 5, 5)), np.ones(2))


def test_a_kernel_larger_than_the_input_on_one_axis_is_an_error_that_shows_the_shapes():
    with pytest.raises(ShapeError, match=r"no larger than the input \(3, 3\) on any axis, got \(1, 4\)"):
        corr2d(np.ones((3, 3)), np.ones((1, 4)))


def test_an_empty_kernel_is_an_error_that_shows_its_shape():
    with pytest.raises(ShapeError, match=r"at least one element, got shape \(0, 2\)"):
        corr2d(np.ones((3, 3)), np.ones((0, 2)))


def test_an_empty_input_is_an_error():
    with pytest.raises(ShapeError, match=r"no larger than the input \(0,\)"):
        corr1d(np.ones(0), np.ones(1))


def test_two_dtypes_are_an_error_that_shows_both():
    with pytest.raises(DtypeError, match=r"one dtype, got float32 and float64"):
        corr1d(np.ones(3, np.float32), np.ones(2))


@pytest.mark.parametrize("dtype", [bool, object, "U1", "M8[s]"])
def test_what_is_no_number_is_an_error_that_shows_the_dtype(dtype):
    with pytest.raises(DtypeError, match=r"corr1d takes arrays of numbers, got "):
        corr1d(np.zeros(3, dtype), np.zeros(2, dtype))


def test_nested_lists_are_an_error_that_names_the_types():
    with pytest.raises(DtypeError, match=r"two NumPy arrays or two torch tensors, got list and numpy\.ndarray"):
        corr2d(IMAGE.tolist(), KERNEL)


def test_a_masked_array_is_an_error_since_its_sum_is_another():
    with pytest.raises(DtypeError, match="MaskedArray"):
        corr1d(np.ma.masked_array(np.ones(3)), np.ones(2))


def test_the_reference_does_not_import_torch():
    program = "import sys, convcheck.reference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603


@unhurried
@given(bare_operands())
def test_the_definition_of_a_bare_layer_is_the_textbook_loop(operands):
    x, k = operands
    bare = {"stride": [1] * x.ndim, "padding": [(0, 0)] * x.ndim, "dilation": [1] * x.ndim, "groups": 1}
    expected = CORRELATIONS[x.ndim](x, k)
    assert correlate_by_definition(x[None, None], k[None, None], **bare)[0, 0].tolist() == expected.tolist()
