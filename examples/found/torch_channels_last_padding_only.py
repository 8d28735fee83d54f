"""A convolution of channels_last operands that meets nothing but padding crashes: torch.nn.functional.conv2d.

Found by benchmarks/channels_last.py and by the law survives in torch 2.13.0, on a CPU with AVX2, in
float32, with a bias and a dilation along an axis of one element: SIGSEGV in oneDNN (brg_conv_fwd:avx2). Without
the bias, without the dilation, which a kernel of one tap there cannot feel, and with contiguous operands, it does not
crash. With AVX-512 it does so without a bias too, and in bfloat16, or, rarely, does not end; of 6,000 problems of all
kinds, 15 crashed there, all of which meet nothing but padding along an axis.
https://github.com/uxlfoundation/oneDNN/issues/5942 tells of a larger case.

    convcheck replay torch.nn.functional:conv2d
        'survives f32 n1 g2 c2 o4 i2x1 k1x1 s1x2 p0x1 d1x2 x=ones/channels_last w=ones b=ones'

By hand: one column between two of padding, and every second is read, which are the padding. So only the bias is left:
every element is 1.
"""

from __future__ import annotations

import subprocess
import sys

CALL = """
import torch
x = torch.ones(1, 2, 2, 1).contiguous(memory_format=torch.{layout})
y = torch.nn.functional.conv2d(
    x, torch.ones(4, 1, 1, 1), torch.ones(4), stride=(1, 2), padding=(0, 1), dilation=(1, 2), groups=2
)
print(*y.flatten().tolist())
"""


def outcome(layout: str) -> str:
    """Return what a Python of its own prints of the call, or how it ends."""
    program = [sys.executable, "-c", CALL.format(layout=layout)]
    result = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip() if result.returncode == 0 else f"ended by signal {-result.returncode}"


if __name__ == "__main__":
    for layout in ("contiguous_format", "channels_last"):
        print(f"{layout}:", outcome(layout))
