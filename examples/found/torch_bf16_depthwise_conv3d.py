"""All groups but the first give zeros: torch.nn.functional.conv3d in bfloat16 of channels_last_3d operands.

Found by the laws agrees-with-torch, groups-split and channels-sum in torch 2.13.0, on a CPU with AVX512_BF16: where
each group has one channel, the first spatial axis has one element, and the kernel several taps along it, of which the
others meet padding, the filters of every group but the first see nothing of their channel, or not all (kernels of 3 x 3
x 3 and 5 x 3 x 3 on images of 1 x 4 x 4 among them, with two filters a group); nor do some filters of a single channel,
or of the second of two images.

By hand: along the first and the last axis a kernel of three taps on one element, padded by one on both sides, meets
that element with its middle tap, and padding with the others. With a kernel that is 1 in the middle, both filters of a
group return their channel: here 1 and 2 for the first group, 10 and 20 for the second. Contiguous operands, float16 and
float32 give that.
"""

from __future__ import annotations

import torch


def outputs(dtype: torch.dtype, layout: torch.memory_format) -> list[list[float]]:
    """Return what each of the four filters computes: two of group 0, and two of group 1."""
    image = torch.tensor([[1.0, 2.0], [10.0, 20.0]], dtype=dtype).reshape(1, 2, 1, 2, 1)
    kernel = torch.zeros(4, 1, 3, 1, 3, dtype=dtype)
    kernel[:, :, 1, :, 1] = 1
    image, kernel = image.contiguous(memory_format=layout), kernel.contiguous(memory_format=layout)
    return torch.nn.functional.conv3d(image, kernel, padding=(1, 0, 1), groups=2)[0, :, 0, :, 0].tolist()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for dtype in (torch.float32, torch.bfloat16):
        for layout in (torch.contiguous_format, torch.channels_last_3d):
            print(f"{dtype}, {layout}: {outputs(dtype, layout)}")
    print("right: [[1.0, 2.0], [1.0, 2.0], [10.0, 20.0], [10.0, 20.0]]")
