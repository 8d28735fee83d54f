"""A convolution as a CUDA kernel in Python, by Numba, and the same with one axis's stride used along both.

Run ``python examples/numba_conv.py``, or ask for a verdict on ``examples.numba_conv:conv2d`` and ``:one_stride``::

    convcheck run examples.numba_conv:conv2d --profile smoke --max-examples 3 --call-timeout 60

Without a GPU, Numba simulates one, which takes its time.
"""

import os
import shutil
import threading

import numpy as np

SIMULATED = not shutil.which("nvidia-smi")
if SIMULATED:
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

from numba import cuda  # noqa: E402 - reads the variable

THREADS, BLOCKS = 32, 1 if SIMULATED else 1024  # in a block, and blocks at most: a simulated thread takes its time
SIMULATOR = threading.Lock()  # which exchanges the module's ``cuda`` while a kernel runs


@cuda.jit
def _conv2d(x, w, stride, padding, y):
    """Compute y[n, o, p, q] = sum x[n, c, s0 p + i - p0, s1 q + j - p1] w[o, c, i, j], each thread some outputs."""
    _, _, height, width = x.shape
    filters, channels, rows, columns = w.shape
    for at in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        plane, position = divmod(at, y.shape[2] * y.shape[3])
        n, o = divmod(plane, filters)
        p, q = divmod(position, y.shape[3])
        top, left = p * stride[0] - padding[0], q * stride[1] - padding[1]
        total = 0.0  # a float64, whatever the arrays hold
        for c in range(channels):
            for i in range(rows):
                for j in range(columns):
                    if 0 <= top + i < height and 0 <= left + j < width:
                        total += x[n, c, top + i, left + j] * w[o, c, i, j]
        y[n, o, p, q] = total


def conv2d(x: np.ndarray, w: np.ndarray, stride=(1, 1), padding=(0, 0)) -> np.ndarray:
    y = _output(x, w, stride, padding)
    _launch(x, w, stride, padding, y)
    return y


def one_stride(x: np.ndarray, w: np.ndarray, stride=(1, 1), padding=(0, 0)) -> np.ndarray:
    """Give the kernel the first axis's stride twice: right where the strides are equal."""
    y = _output(x, w, stride, padding)
    _launch(x, w, (stride[0], stride[0]), padding, y)
    return y


def _output(x, w, stride, padding):
    if x.dtype not in (np.float32, np.float64):
        raise NotImplementedError("float32 and float64 only")
    (n, c, *size), (o, channels, *kernel) = x.shape, w.shape
    out = [(s + 2 * p - k) // t + 1 for s, k, t, p in zip(size, kernel, stride, padding, strict=True)]
    if channels != c or min(out) < 1 or min(stride) < 1 or min(padding) < 0:
        raise ValueError(f"no convolution of {x.shape} with {w.shape}")
    return np.zeros((n, o, *out), x.dtype)


def _launch(x, w, stride, padding, y):
    blocks = min(-(-y.size // THREADS), BLOCKS)
    if not blocks:
        return
    with SIMULATOR:
        x, w, result = (cuda.to_device(np.ascontiguousarray(array)) for array in (x, w, y))
        _conv2d[blocks, THREADS](x, w, stride, padding, result)
        result.copy_to_host(y)


def main() -> None:
    x, w = np.random.default_rng(0).random((1, 1, 7, 9)), np.ones((1, 1, 3, 3))
    for stride in ((2, 2), (2, 3)):
        same = np.array_equal(conv2d(x, w, stride), one_stride(x, w, stride))
        print(f"With stride {stride}, the two {'agree' if same else 'differ'}")


if __name__ == "__main__":
    main()
