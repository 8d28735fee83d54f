"""A NaN outside of an output's receptive field makes it NaN: torch.nn.functional.conv2d in bfloat16.

Found by the laws local and inf-propagates in torch 2.13.0, on a CPU with AVX512_BF16. There oneDNN multiplies bfloat16
in pairs: where the number of taps is odd, the one that is missing from the last pair is a weight of zero, by which it
multiplies whatever lies beside the image's element in memory; zero times NaN is NaN. In a gradient by the image, where
channels lie side by side, that is another group's. https://github.com/pytorch/pytorch/issues/157237 tells of more.

    convcheck replay torch.nn.functional:conv2d
        'local bf16 n1 g1 c1 o1 i1x3 k2x1 s1x1 p1x0 d1x1 x=zeros w=zeros'
    convcheck replay torch.nn.functional:conv2d
        'inf-propagates@grad_input bf16 n1 g2 c2 o2 i1x10 k1x1 s2x1 p0x0 d1x1 gy=zeros w=zeros'

By hand: a kernel of one column sees the output's own column and no other, so that a NaN in the second column can make
the second column NaN, and only that. With one channel and one filter in each of two groups, the gradient of a channel
is a multiple of its own output's. In float32, and without AVX512_BF16, both hold.
"""

from __future__ import annotations

import torch


def columns_with_nan(dtype: torch.dtype) -> list[int]:
    """Return the columns of the result that are NaN where the second column of the image is."""
    image = torch.tensor([[[[0.0, torch.nan, 0.0]]]], dtype=dtype)
    result = torch.nn.functional.conv2d(image, torch.zeros(1, 1, 2, 1, dtype=dtype), padding=(1, 0))
    return [column for column in range(3) if result[..., column].isnan().any()]


def channels_with_nan(dtype: torch.dtype) -> list[int]:
    """Return the channels of the image's gradient that are NaN where the second channel's output gradient has one."""
    gradient = torch.zeros(1, 2, 1, 10, dtype=dtype)
    gradient[0, 1, 0, 5] = torch.nan
    weight = torch.zeros(2, 1, 1, 1, dtype=dtype)
    result = torch.nn.grad.conv2d_input((1, 2, 1, 10), weight, gradient, stride=(2, 1), groups=2)
    return [channel for channel in range(2) if result[:, channel].isnan().any()]


if __name__ == "__main__":
    for dtype in (torch.float32, torch.bfloat16):
        print(f"{dtype}: NaN in columns {columns_with_nan(dtype)}, of which [1] is right")
        print(f"{dtype}: NaN in the gradients of channels {channels_with_nan(dtype)}, of which [1] is right")
