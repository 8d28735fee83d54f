"""The textbook loops on torch tensors, and the exact definition against torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convcheck.errors import DtypeError, ShapeError
from convcheck.reference import corr1d, corr2d, corr3d
from convcheck.reference.definition import (
    correlate_by_definition,
    grad_input_by_definition,
    grad_weight_by_definition,
)

torch = pytest.importorskip("torch")

# A slow machine is not a failure.
unhurried = settings(deadline=None)

IMAGE = torch.arange(9).reshape(3, 3)
KERNEL = torch.arange(4).reshape(2, 2)
EXAMPLE = [[19, 25], [37, 43]]
DTYPES = [
    *("float64", "float32", "float16", "bfloat16", "complex64", "complex128"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
]


@pytest.mark.parametrize("name", DTYPES)
def test_the_result_keeps_the_dtype(name):
    dtype = getattr(torch, name)
    result = corr2d(IMAGE.to(dtype), KERNEL.to(dtype))
    assert (result.dtype, result.to(torch.complex128).real.tolist()) == (dtype, EXAMPLE)


@pytest.mark.parametrize("corr", [corr1d, corr2d, corr3d])
def test_tensors_and_arrays_give_the_same_numbers(corr):
    rank = int(corr.__name__[4])
    x, k = np.arange(4**rank).reshape([4] * rank), np.arange(2**rank).reshape([2] * rank)
    assert corr(torch.tensor(x), torch.tensor(k)).tolist() == corr(x, k).tolist()


@pytest.mark.parametrize(("dtype", "big"), [(torch.float16, 2048), (torch.bfloat16, 256)])
def test_narrow_floats_are_accumulated_in_float32(dtype, big):
    """In the dtype itself the sum would never leave `big`: 1 is half a unit in its last place."""
    x = torch.tensor([big, 1, 1], dtype=dtype)
    assert corr1d(x, torch.ones(3, dtype=dtype)).tolist() == [big + 2]


def test_narrow_products_are_not_rounded_before_they_are_summed():
    """The products overflow float16 and cancel."""
    x = torch.tensor([300, 300], dtype=torch.float16)
    assert corr1d(x, torch.tensor([300, -300], dtype=torch.float16)).tolist() == [0]


@pytest.mark.parametrize(
    ("dtype", "value", "double"),
    [(torch.int8, 100, -56), (torch.uint16, 2**15, 0), (torch.uint64, 2**64 - 1, 2**64 - 2)],
)
def test_integers_wrap_around_in_their_own_dtype(dtype, value, double):
    x = torch.tensor([value, value], dtype=dtype)
    assert corr1d(x, torch.ones(2, dtype=dtype)).tolist() == [double]


@pytest.mark.parametrize("corr", [corr1d, corr2d, corr3d])
def test_gradients_flow_to_the_input_and_to_the_kernel(corr):
    rank = int(corr.__name__[4])
    x = torch.rand([3] * rank, dtype=torch.float64, requires_grad=True)
    k = torch.rand([2] * rank, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(corr, (x, k))


def test_gradients_flow_through_bfloat16():
    x = torch.tensor([1, 2, 3], dtype=torch.bfloat16)
    k = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    corr1d(x, k).sum().backward()
    assert (k.grad.dtype, k.grad.tolist()) == (torch.bfloat16, [3, 5])


def test_the_operands_are_left_unchanged():
    image, kernel = IMAGE.clone(), KERNEL.clone()
    corr2d(image, kernel)
    assert (image.tolist(), kernel.tolist()) == (IMAGE.tolist(), KERNEL.tolist())


@pytest.mark.parametrize(("x", "k"), [(IMAGE, KERNEL.numpy()), (IMAGE.numpy(), KERNEL)])
def test_an_array_with_a_tensor_is_an_error_that_names_both(x, k):
    with pytest.raises(DtypeError, match=r"torch\.Tensor") as raised:
        corr2d(x, k)
    assert "numpy.ndarray" in str(raised.value)


def test_two_dtypes_are_an_error_that_shows_both():
    with pytest.raises(DtypeError, match=r"one dtype, got torch\.float16 and torch\.float32"):
        corr1d(torch.ones(3, dtype=torch.float16), torch.ones(2))


def test_two_devices_are_an_error_that_shows_both():
    with pytest.raises(DtypeError, match="one device, got cpu and meta"):
        corr1d(torch.ones(3), torch.ones(2, device="meta"))


def test_booleans_are_an_error_that_shows_the_dtype():
    with pytest.raises(DtypeError, match=r"takes arrays of numbers, got torch\.bool"):
        corr1d(torch.ones(3, dtype=torch.bool), torch.ones(2, dtype=torch.bool))


def test_a_kernel_too_large_is_an_error_that_shows_the_shapes():
    with pytest.raises(ShapeError, match=r"the input \(3, 3\) on any axis, got \(1, 4\)"):
        corr2d(torch.ones(3, 3), torch.ones(1, 4))


PAIRS = st.tuples(st.integers(1, 2), st.integers(1, 2))


@unhurried
@given(
    seed=st.integers(0, 2**32 - 1),
    kernel=PAIRS,
    stride=PAIRS,
    dilation=PAIRS,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    groups=st.sampled_from([1, 2]),
)
def test_the_definitions_agree_exactly_with_torch_on_integers(*, seed, kernel, stride, dilation, padding, groups):
    """Small integers in float64: every way to sum them is exact."""
    random = np.random.default_rng(seed)
    x, w, b = (random.integers(-9, 10, shape) for shape in ((2, 4, 3, 4), (4, 4 // groups, *kernel), 4))
    tx, tw, tb = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in (x, w, b))
    ty = torch.nn.functional.conv2d(tx, tw, tb, stride, padding, dilation, groups)
    gy = random.integers(-9, 10, ty.shape)
    ty.backward(torch.tensor(gy, dtype=torch.float64))

    options = {"stride": stride, "padding": [(p, p) for p in padding], "dilation": dilation, "groups": groups}
    assert correlate_by_definition(x, w, b, **options).tolist() == ty.tolist()
    assert grad_input_by_definition(gy, w, size=(3, 4), **options).tolist() == tx.grad.tolist()
    assert grad_weight_by_definition(gy, x, kernel=kernel, **options).tolist() == tw.grad.tolist()
