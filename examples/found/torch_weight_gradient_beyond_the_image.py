"""The weight gradient of images of zeros isn't zero, or crashes: torch's convolutions on a CPU with AVX-512.

Found by the laws survives, homogeneous and threads-agree in torch 2.13.0: in float32 with three axes and a kernel that
is larger than the image, and in bfloat16 with one axis, 16 channels and a stride, oneDNN reads memory beside the image.
The result changes from call to call, and now and then the process dies (SIGSEGV).

    convcheck replay torch.nn.functional:conv3d 'definition@grad_weight
        f32 n1 g1 c1 o1 i4x3x2 k6x6x4 s2x1x1 p3x3x1 d1x1x1 gy=impulse@0,0,1,3,0 x=zeros'
    convcheck replay torch.nn.functional:conv1d 'homogeneous@grad_weight
        bf16 n1 g1 c16 o1 i1 k2 s2 p1 d1 gy=impulse@0,0,0 x=zeros'

By hand: every entry of the gradient is a sum of products with entries of the image, which are zero.
"""

from __future__ import annotations

import subprocess
import sys

CASES = {
    "conv3d, float32": (
        "float32", "conv3d_weight", (1, 1, 4, 3, 2), (1, 1, 6, 6, 4), (1, 1, 3, 4, 1), "(2, 1, 1), (3, 3, 1)",
    ),
    "conv1d, bfloat16": ("bfloat16", "conv1d_weight", (1, 16, 1), (1, 16, 2), (1, 1, 1), "2, 1"),
}  # fmt: skip
CALL = """
import torch
upstream = torch.ones{upstream}.to(torch.{dtype})
for _ in range(200):
    beside = [torch.full((size,), 251.0) for size in (8, 16, 32, 64, 128, 256, 512) for _ in range(20)]
    del beside
    image = torch.zeros({image}, dtype=torch.{dtype})
    if torch.nn.grad.{function}(image, {kernel}, upstream, {parameters}).any():
        raise SystemExit("not zero")
print("zero")
"""


def outcome(case: str) -> str:
    """Return what a Python of its own says of 200 calls, or how it ends."""
    dtype, function, image, kernel, upstream, parameters = CASES[case]
    program = CALL.format(
        dtype=dtype, function=function, image=image, kernel=kernel, upstream=upstream, parameters=parameters
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    said = (result.stdout + result.stderr).strip().splitlines()
    return f"ended by signal {-result.returncode}" if result.returncode < 0 else said[-1]


if __name__ == "__main__":
    for case in CASES:
        print(f"{case}:", outcome(case))
