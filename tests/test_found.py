"""What convcheck found in released libraries is still so; a test that fails says that it was mended."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FOUND = Path(__file__).parents[1] / "examples" / "found"


def load(name):
    spec = importlib.util.spec_from_file_location(f"found_{name}", FOUND / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_script_is_listed():
    listed = (FOUND / "README.md").read_text()
    assert [path.name for path in FOUND.glob("*.py") if f"]({path.name})" not in listed] == []


def test_torch_keeps_a_nan_in_its_column_in_float32():
    torch = pytest.importorskip("torch")
    assert load("torch_bf16_nan_beside").columns_with_nan(torch.float32) == [1]


def test_torch_keeps_a_nan_in_its_group_in_float32():
    torch = pytest.importorskip("torch")
    assert load("torch_bf16_nan_beside").channels_with_nan(torch.float32) == [1]


def test_torch_gives_every_group_its_channel_in_float32():
    torch = pytest.importorskip("torch")
    found = load("torch_bf16_depthwise_conv3d").outputs(torch.float32, torch.channels_last_3d)
    assert found == [[1, 2], [1, 2], [10, 20], [10, 20]]


def test_torch_s_weight_gradient_sees_what_the_kernel_meets_in_float64():
    torch = pytest.importorskip("torch")
    found = load("torch_weight_gradient_full_width")
    assert [found.places(row, torch.float64) for row in (0, 3, 16)] == [[[0, 0]], [[3, 0]], []]


def test_torch_refuses_a_dilation_of_0_for_one_image_and_accepts_it_for_two():
    torch = pytest.importorskip("torch")
    if not torch.backends.mkldnn.is_available() or torch.__version__ < "2.13":
        pytest.skip("found in torch 2.13 with oneDNN")
    found = load("torch_conv_transpose_dilation_zero")
    assert [found.accepted(images) for images in (1, 2)] == [False, True]


@pytest.mark.parametrize(("weight", "product"), [(1e-15, 1e15), (1e-16, 0)])
def test_scipy_s_ndimage_leaves_small_weights_out(weight, product):
    found = load("scipy_ndimage_small_weights").corr2d(np.array([[1e30]]), np.array([[weight]]))
    assert found.item() == pytest.approx(product)
