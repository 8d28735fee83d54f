"""A dilation of 0 is refused for one image and accepted for two: torch.nn.functional.conv_transpose1d.

Found by the law rejects-invalid in torch 2.13.0, on the CPU, in float32. A kernel whose taps lie 0 elements apart is
none, and torch says so ("dilation should be greater than zero") for one image, in float64, and in conv1d. With two
images and a kernel of one tap, oneDNN is asked, and nobody checks: the call returns what dilation 1 would give. The
same happens in conv_transpose2d and in the layers. It should raise, whatever the batch
(https://github.com/pytorch/pytorch/issues/127732 tells of CUDA, where it does not either).

    convcheck run torch.nn.functional:conv_transpose1d
"""

from __future__ import annotations

import torch

__all__ = ["accepted"]


def accepted(images: int) -> bool:
    """Whether a transposed convolution of so many images takes a dilation of 0."""
    x, w = torch.ones(images, 1, 1), torch.ones(1, 1, 1)
    try:
        torch.nn.functional.conv_transpose1d(x, w, dilation=0)
    except RuntimeError:
        return False
    return True


if __name__ == "__main__":
    for images in (1, 2):
        print(f"dilation 0, {images} image(s):", "accepted" if accepted(images) else "refused, as it should be")
