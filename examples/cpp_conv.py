"""A convolution in C++ as a PyTorch extension, and the same with the kernel stored column by column.

Run ``python examples/cpp_conv.py``, or ask for a verdict on ``examples.cpp_conv:conv2d`` and ``:column_major``::

    convcheck run examples.cpp_conv:conv2d

The first import compiles ``conv.cpp``, which takes a compiler, ninja and a while.
"""

from pathlib import Path

import torch
from torch.utils.cpp_extension import load

load("convcheck_example", [str(Path(__file__).with_name("conv.cpp"))], is_python_module=False)


def conv2d(x: torch.Tensor, w: torch.Tensor, stride=(1, 1), padding=(0, 0)) -> torch.Tensor:
    return torch.ops.convcheck_example.conv2d(x, w, stride, padding, False)


def column_major(x: torch.Tensor, w: torch.Tensor, stride=(1, 1), padding=(0, 0)) -> torch.Tensor:
    """Index the kernel column by column: right for symmetric kernels, as blurs and Laplacians are."""
    return torch.ops.convcheck_example.conv2d(x, w, stride, padding, True)


def main() -> None:
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    blur, edge = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16, torch.tensor([[1.0, 0, -1]] * 3)
    for name, kernel in (("blur", blur), ("edge", edge)):
        w = kernel.double()[None, None]
        same = torch.allclose(conv2d(x, w), column_major(x, w))
        print(f"For the kernel of {name}, the two {'agree' if same else 'differ'}")


if __name__ == "__main__":
    main()
