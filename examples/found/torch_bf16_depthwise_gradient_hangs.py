"""The gradient of an image never comes: torch.nn.functional.conv2d in bfloat16 of channels_last operands.

Found by benchmarks/false_alarms.py and the law survives in torch 2.13.0, on a CPU with AVX512_BF16: where each group
has one channel and one filter, the kernel 15 columns (or 31: one less than a multiple of 16), and the image 43 or more,
the gradient by the image is computed without end. With 42 columns, with 14 or 16 in the kernel, with contiguous
operands, and in float16 and float32 it comes, and is right.

By hand: the gradient of zeros is zero.
"""

from __future__ import annotations

import subprocess
import sys

CALL = """
import torch
torch.set_num_threads(1)
x = torch.zeros(1, 2, 1, {columns}, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
w = torch.zeros(2, 1, 1, 15, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
y = torch.nn.functional.conv2d(x.requires_grad_(), w, padding=(0, 1), groups=2)
print(torch.autograd.grad(y, x, torch.zeros_like(y))[0].abs().max().item())
"""


def outcome(columns: int, seconds: float = 10.0) -> str:
    """Return what a Python of its own prints of the call, or that it does not end."""
    program = [sys.executable, "-c", CALL.format(columns=columns)]
    try:
        result = subprocess.run(program, capture_output=True, text=True, check=False, timeout=seconds)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"no answer in {seconds:g} s"
    return result.stdout.strip() if result.returncode == 0 else f"ended by signal {-result.returncode}"


if __name__ == "__main__":
    for columns in (42, 43):
        print(f"{columns} columns:", outcome(columns))
