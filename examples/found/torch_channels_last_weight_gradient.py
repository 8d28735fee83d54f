"""The weight gradient of a channels_last convolution with one tap and a stride writes past its memory: torch's conv2d.

Found by benchmarks/false_alarms.py in torch 2.13.0, on a CPU with AVX2, in float32 and with one thread: two images, two
channels, a kernel of one tap and a stride of 2. From 12 rows on, the heap is damaged, and sooner or later the process
ends by SIGSEGV or SIGABRT ("corrupted double-linked list"); with 11 rows, one channel, a stride of 1, or contiguous
operands it does not. https://github.com/uxlfoundation/oneDNN/issues/6035 tells of a larger case, and of hangs with more
threads: oneDNN copies what the stride selects into a workspace that is too small for fewer channels than a block has.

    convcheck replay torch.nn.functional:conv2d
        'survives@grad_weight f32 n2 g1 c2 o1 i22x1 k1x1 s2x1 p0x0 d1x1 gy=ones x=ones/channels_last'

By hand: every second of 22 rows is read, in two images, and all are 1: both elements of the gradient are 22.
"""

from __future__ import annotations

import subprocess
import sys

CALL = """
import torch
torch.set_num_threads(1)
x = torch.ones(2, 2, {rows}, 1).contiguous(memory_format=torch.{layout})
w, gy = torch.ones(1, 2, 1, 1), torch.ones(2, 1, ({rows} + 1) // 2, 1)
for _ in range(300):  # until the damage is noticed
    _, gw, _ = torch.ops.aten.convolution_backward(
        gy, x, w, None, [2, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, False]
    )
print(*gw.flatten().tolist())
"""


def outcome(layout: str, rows: int = 22) -> str:
    """Return what a Python of its own prints of the calls, or how it ends."""
    program = [sys.executable, "-c", CALL.format(layout=layout, rows=rows)]
    try:
        result = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except subprocess.TimeoutExpired:
        return "no answer in 60 s"
    return result.stdout.strip() if result.returncode == 0 else f"ended by signal {-result.returncode}"


if __name__ == "__main__":
    for layout in ("contiguous_format", "channels_last"):
        print(f"{layout}:", outcome(layout))
