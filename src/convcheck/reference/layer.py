"""The textbook's convolution layer: `corr2d` with a kernel and a bias that are learned."""

from __future__ import annotations

import torch
from torch import nn

from convcheck.errors import ShapeError
from convcheck.reference.textbook import corr2d

__all__ = ["Conv2D"]


class Conv2D(nn.Module):
    """One kernel slid over one image, plus a bias: ``corr2d(image, weight) + bias``.

    Parameters
    ----------
    kernel_size
        Height and width of the kernel, or one int for both.
    generator
        Draws the initial weight, uniform on [0, 1); torch's global one if not given.

    Attributes
    ----------
    weight : torch.nn.Parameter
        Shape ``kernel_size``.
    bias : torch.nn.Parameter
        Shape ``(1,)``, initially zero.

    Raises
    ------
    ShapeError
        If `kernel_size` is not a positive int or a pair of them.
    """

    def __init__(self, kernel_size: int | tuple[int, int], *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        device = None if generator is None else generator.device
        self.weight = nn.Parameter(torch.rand(self.kernel_size, generator=generator, device=device))
        self.bias = nn.Parameter(torch.zeros(1, device=device))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Convolve one image of shape ``(H, W)``; the result has shape ``(H - h + 1, W - w + 1)``.

        Raises
        ------
        ShapeError, DtypeError
            As `corr2d` does, for an image that the weight does not fit.
        """
        return corr2d(image, self.weight) + self.bias

    def extra_repr(self) -> str:
        """Show the kernel's size in the layer's repr."""
        return f"kernel_size={self.kernel_size}"


def _pair(kernel_size: int | tuple[int, int]) -> tuple[int, int]:
    pair = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
    # A bool is an int to Python, but no size.
    if len(pair) != 2 or any(type(size) is not int or size < 1 for size in pair):
        raise ShapeError(f"kernel_size must be a positive int or a pair of them, got {kernel_size!r}")
    return pair
