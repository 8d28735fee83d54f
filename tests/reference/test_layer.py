"""Conv2D: the textbook layer learns, and says no to sizes that are none."""

from __future__ import annotations

import re

import pytest

from convcheck.errors import DtypeError, ShapeError

torch = pytest.importorskip("torch")

from convcheck.reference import corr2d  # noqa: E402
from convcheck.reference.layer import Conv2D  # noqa: E402


def test_it_is_corr2d_plus_the_bias():
    layer, image = Conv2D((2, 3)), torch.rand(4, 5)
    torch.nn.init.constant_(layer.bias, 7)
    assert layer(image).tolist() == (corr2d(image, layer.weight) + 7).tolist()


def test_it_agrees_with_torch():
    layer, image = Conv2D((2, 3)).double(), torch.rand(4, 5, dtype=torch.float64)
    torch.nn.init.constant_(layer.bias, 7)
    expected = torch.nn.functional.conv2d(image[None, None], layer.weight[None, None], layer.bias)[0, 0]
    torch.testing.assert_close(layer(image), expected)


@pytest.mark.parametrize(("kernel_size", "shape"), [(3, (3, 3)), ((1, 2), (1, 2))])
def test_one_int_is_the_size_of_both_axes(kernel_size, shape):
    assert Conv2D(kernel_size).weight.shape == shape


def test_weight_and_bias_are_its_parameters():
    assert {name: p.shape for name, p in Conv2D(2).named_parameters()} == {"weight": (2, 2), "bias": (1,)}


def test_the_bias_starts_at_zero():
    assert Conv2D(2).bias.tolist() == [0]


def test_a_generator_fixes_the_initial_weight():
    first, second = (Conv2D(3, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.weight.tolist() == second.weight.tolist()


def test_a_generator_leaves_the_global_one_alone():
    before = torch.random.get_rng_state()
    Conv2D(3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_gradients_reach_the_weight_the_bias_and_the_image():
    layer, image = Conv2D((1, 2)), torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    torch.nn.init.constant_(layer.weight, 5)
    layer(image).sum().backward()
    gradients = [layer.weight.grad.tolist(), layer.bias.grad.tolist(), image.grad.tolist()]
    assert gradients == [[[3, 5]], [2], [[5, 10, 5]]]


def test_the_state_survives_saving_and_loading():
    saved, loaded = Conv2D(2), Conv2D(2)
    loaded.load_state_dict(saved.state_dict())
    assert loaded.weight.tolist() == saved.weight.tolist()


def test_the_repr_shows_the_kernel_size():
    assert repr(Conv2D((1, 2))) == "Conv2D(kernel_size=(1, 2))"


@pytest.mark.parametrize("size", [0, -1, (0, 2), (2, -3), (1,), (1, 2, 3), (), 1.5, (1, 2.0), "3", None, True])
def test_a_size_that_is_none_is_an_error_that_shows_it(size):
    with pytest.raises(ShapeError, match=re.escape(f"a pair of them, got {size!r}")):
        Conv2D(size)


def test_an_image_smaller_than_the_kernel_is_an_error():
    with pytest.raises(ShapeError, match=r"the input \(2, 2\) on any axis, got \(3, 3\)"):
        Conv2D(3)(torch.rand(2, 2))


def test_an_image_of_another_dtype_is_an_error():
    with pytest.raises(DtypeError, match=r"got torch\.float64 and torch\.float32"):
        Conv2D(1)(torch.rand(2, 2, dtype=torch.float64))
