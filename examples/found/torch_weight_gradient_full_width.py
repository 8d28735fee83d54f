"""A weight gradient reads rows that the kernel never meets: torch.nn.functional.conv2d on a CPU with AVX-512.

Found by the law definition in torch 2.13.0: in float32, where the kernel is as wide as the image, 14 columns or more,
and has 4 rows or more, and the result 29 rows or more. There oneDNN takes a step to the right for a step down as well.

    convcheck replay torch.nn.functional:conv2d 'definition@grad_weight
        f32 n1 g1 c1 o1 i32x14 k4x14 s1x1 p0x0 d1x1 gy=impulse@0,0,0,0 x=impulse@0,0,16,0'

By hand: where the upstream gradient is 1 at the first output and 0 elsewhere, the gradient by the weight is what the
first output sees of the image, its rows 0 to 3. A 1 in row 16 is not among them, so that all must be zero. In float64,
and without oneDNN, it is.
"""

from __future__ import annotations

import torch


def places(row: int, dtype: torch.dtype) -> list[list[int]]:
    """Return (row, column) of the weight gradient's non-zeros where the image is 1 in the first column of a row."""
    image, upstream = torch.zeros(1, 1, 32, 14, dtype=dtype), torch.zeros(1, 1, 29, 1, dtype=dtype)
    image[0, 0, row, 0] = upstream[0, 0, 0, 0] = 1
    return [place[2:] for place in torch.nn.grad.conv2d_weight(image, (1, 1, 4, 14), upstream).nonzero().tolist()]


if __name__ == "__main__":
    for row in (0, 3, 16):
        print(f"row {row}: expected {places(row, torch.float64)}, got {places(row, torch.float32)}")
