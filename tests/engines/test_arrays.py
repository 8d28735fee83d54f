"""Array kinds: there and back without a change, sharing memory where a library can."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

from convcheck.dtypes import DTYPES
from convcheck.engines.arrays import KINDS, as_numpy, kind_named
from convcheck.errors import UsageError
from convcheck.layouts import LAYOUTS, arrange

VALUES = np.arange(-12, 12).reshape(2, 3, 4)


@pytest.fixture(params=["numpy", "torch"])
def kind(request):
    pytest.importorskip(request.param)
    return kind_named(request.param)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_dtype_survive_the_way_there_and_back(kind, dtype, layout):
    array = arrange(np.abs(VALUES).astype(DTYPES[dtype].numpy), layout)
    back = kind.to_numpy(kind.to_native(array))
    assert (back.tolist(), back.dtype) == (array.tolist(), array.dtype)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_special_values_survive_the_way_there_and_back(kind, dtype):
    array = np.array([np.nan, np.inf, -np.inf, -0.0, DTYPES[dtype].smallest_subnormal], DTYPES[dtype].numpy)
    assert kind.to_numpy(kind.to_native(array)).tobytes() == array.tobytes()


@pytest.mark.parametrize("shape", [(0, 2), (), (1,)])
def test_empty_arrays_and_scalars_survive_the_way_there_and_back(kind, shape):
    array = np.ones(shape, np.float32)
    back = kind.to_numpy(kind.to_native(array))
    assert (back.shape, back.tolist()) == (array.shape, array.tolist())


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("layout", ["contiguous", "strided", "transposed", "channels_last", "cropped"])
def test_strides_are_kept_by_sharing_memory(kind, layout, dtype):
    array = arrange(VALUES.astype(DTYPES[dtype].numpy), layout)
    back = kind.to_numpy(kind.to_native(array))
    assert (np.shares_memory(array, back), back.strides) == (True, array.strides)


def test_a_strided_array_is_a_strided_tensor():
    pytest.importorskip("torch")
    tensor = kind_named("torch").to_native(arrange(VALUES.astype(np.float32), "strided"))
    assert (tensor.is_contiguous(), tensor.stride()) == (False, (2 * 7 * 9, 2 * 9, 2))


@pytest.mark.parametrize("layout", ["reversed", "readonly"])
def test_what_torch_cannot_hold_is_copied(layout):
    pytest.importorskip("torch")
    array = arrange(VALUES.astype(np.float32), layout)
    torch_kind = kind_named("torch")
    assert not np.shares_memory(array, torch_kind.to_numpy(torch_kind.to_native(array)))


def test_bfloat16_becomes_torch_s_own():
    torch = pytest.importorskip("torch")
    tensor = kind_named("torch").to_native(VALUES.astype(ml_dtypes.bfloat16))
    assert tensor.dtype == torch.bfloat16


def test_tensors_with_gradients_and_views_come_back_as_arrays():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(3, dtype=torch.complex64, requires_grad=True).conj()
    assert kind_named("torch").to_numpy(tensor).tolist() == [1, 1, 1]


def test_a_kind_owns_its_arrays_and_no_others(kind):
    native = kind.to_native(np.ones(2, np.float32))
    owned = [kind.owns(value) for value in (native, [1.0], None, "x", 1.0)]
    assert owned == [True, False, False, False, False]


def test_numpy_owns_its_scalars():
    assert kind_named("numpy").owns(np.float32(1))


def test_the_version_names_the_library(kind):
    assert kind.version().startswith(f"{kind.name} ")


def test_arrays_that_do_not_exist_are_shown_with_those_that_do():
    with pytest.raises(UsageError, match="no arrays are called 'cupy'; there are numpy, torch, jax"):
        kind_named("cupy")


def test_a_device_needs_torch_arrays():
    with pytest.raises(UsageError, match="the device 'cuda' needs torch arrays, not numpy arrays"):
        kind_named("numpy", "cuda")


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"numpy"}))
def test_a_library_that_is_not_installed_is_an_error_that_says_so(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=f"{name} arrays need {name}, which cannot be imported"):
        kind_named(name)


def test_jax_is_told_to_keep_64_bits(monkeypatch):
    """Or float64 operands would silently become float32; a stand-in shows it where jax is not installed."""
    told = {}
    stand_in = SimpleNamespace(
        config=SimpleNamespace(update=told.__setitem__), Array=np.ndarray, numpy=np, __version__="0.9"
    )
    monkeypatch.setitem(sys.modules, "jax", stand_in)
    jax_kind = kind_named("jax")
    assert (told, jax_kind.version(), jax_kind.owns(np.ones(1))) == ({"jax_enable_x64": True}, "jax 0.9", True)


def test_the_meta_device_has_shapes_and_no_values():
    pytest.importorskip("torch")
    meta = kind_named("torch", "meta")
    native = meta.to_native(np.ones((2, 3), np.float32))
    assert (native.device.type, meta.has_values, meta.to_numpy(native).shape) == ("meta", False, (2, 3))


@pytest.mark.parametrize("device", ["cuda:99", "nowhere"])
def test_a_device_that_cannot_be_used_is_an_error_that_says_so(device):
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match=f"the device {device!r} cannot be used: "):
        kind_named("torch", device)


@pytest.mark.parametrize("dtype", ["O", "U3", "M8[s]", "V8", "i4,f4", "?", "longdouble", "clongdouble"])
def test_an_array_of_what_is_no_number_that_can_be_judged_is_no_result(dtype):
    with pytest.raises(TypeError, match=r"returned an array of .*, which are no numbers that can be judged"):
        as_numpy(kind_named("numpy"), np.zeros((2, 2), dtype))


@pytest.mark.parametrize("name", DTYPES)
def test_an_array_of_every_element_type_is_a_result(name):
    result = np.zeros((2, 2), DTYPES[name].numpy)
    assert as_numpy(kind_named("numpy"), result) is result
