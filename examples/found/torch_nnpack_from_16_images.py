"""From 16 images on, exact integers come back inexact: torch.nn.functional.conv1d and conv2d without oneDNN.

Found by the laws definition, batch-stacks, inf-propagates and eight more in torch 2.13.0, on the CPU, in float32, with
torch.backends.mkldnn off. 15 images are convolved by the sum that is asked for; 16, with stride and dilation 1, by
NNPACK's transforms, whose errors are small against the largest element, not against the result: a large element spoils
outputs that it has no part in, and the same image gives other bits in a larger batch. Nothing in the documentation
says so; torch.backends.nnpack turns it off. Judged with ``--accuracy normwise``, it conforms.

    convcheck replay examples.found.torch_nnpack_from_16_images:conv1d
        'definition f32 n16 g1 c1 o1 i2 k3 s1 p2 d1 x=impulse@15,0,1 w=impulse@0,0,0' --dtype f32

By hand: x = [0, 1] between two zeros on each side, and w = [1, 0, 0] picks the first of every three: 0, 0, 0, 1.
"""

from __future__ import annotations

import torch

__all__ = ["conv1d", "far_from_the_large_one"]


def conv1d(x: torch.Tensor, w: torch.Tensor, padding: int = 0) -> torch.Tensor:
    """Convolve without oneDNN."""
    before = torch.backends.mkldnn.set_flags(False)[0]
    try:
        return torch.nn.functional.conv1d(x, w, padding=padding)
    finally:
        torch.backends.mkldnn.set_flags(before)


def far_from_the_large_one(images: int) -> list[float]:
    """Sums of three of 0, 0, 0, 0, 1, 1, 1, 1, of which the first is 1e8 instead: all but the first do not see it."""
    x = torch.zeros(images, 1, 8)
    x[0, 0] = torch.tensor([1e8, 0, 0, 0, 1, 1, 1, 1])
    return conv1d(x, torch.ones(1, 1, 3))[0, 0].tolist()


if __name__ == "__main__":
    for images in (15, 16):
        x, w = torch.zeros(images, 1, 2), torch.tensor([[[1.0, 0.0, 0.0]]])
        x[-1, 0, 1] = 1
        print(f"{images} images: 0, 0, 0, 1 is", *(f"{v:.3g}" for v in conv1d(x, w, padding=2)[-1, 0].tolist()))
        print(f"{images} images: 1e8, 0, 1, 2, 3, 3 is", *(f"{v:.3g}" for v in far_from_the_large_one(images)))
