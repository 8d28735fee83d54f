"""Cross-correlation as a learner writes it on a blackboard: index loops, no tricks."""
# ruff: noqa: N803, N806  (X, K and Y are what the textbook calls them)

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np

from convcheck.errors import DtypeError, ShapeError

__all__ = ["corr1d", "corr2d", "corr3d"]

Array = TypeVar("Array")
"""A NumPy array or a torch tensor; torch is never imported here, its tensors are met by duck typing."""

Index = tuple[int, ...]

# Sums of these round at every step, so they are accumulated in float32.
_NARROW = frozenset({"float16", "bfloat16"})
# Torch has no sum of these on a CPU; int64 wraps around to the same integers.
_UNSUMMED = frozenset({"uint16", "uint32", "uint64"})
_NUMBERS = _NARROW | {
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float32", "float64", "complex64", "complex128"),
    *(np.dtype(extended).name for extended in (np.longdouble, np.clongdouble)),
}


def corr1d(X: Array, K: Array) -> Array:
    """Slide the kernel K along the sequence X: ``Y[i] = sum over a of X[i + a] * K[a]``.

    Parameters
    ----------
    X, K
        Two NumPy arrays or two torch tensors of one number dtype, of shapes ``(n,)`` and ``(h,)``, with
        ``1 <= h <= n``. Neither is changed; gradients flow to torch tensors.

    Returns
    -------
    Array
        Shape ``(n - h + 1,)``, in the dtype of X. Sums of float16 and bfloat16 are accumulated in float32 and
        rounded once; integers wrap around as their dtype does; complex numbers are not conjugated.

    Raises
    ------
    ShapeError
        If a rank is not 1, the kernel is empty, or it is longer than X.
    DtypeError
        If X and K are not arrays of the same library, dtype and device, or do not hold numbers.
    """
    signal, kernel, Y = _operands(X, K, rank=1)
    (h,) = kernel.shape
    for i in range(Y.shape[0]):
        Y[i] = (signal[i : i + h] * kernel).sum(dtype=Y.dtype)
    return _rounded(Y, X)


def corr2d(X: Array, K: Array) -> Array:
    """Slide the kernel K over the image X: ``Y[i, j] = sum over a, b of X[i + a, j + b] * K[a, b]``.

    Parameters
    ----------
    X, K
        As for `corr1d`, of shapes ``(n, m)`` and ``(h, w)``, with ``1 <= h <= n`` and ``1 <= w <= m``.

    Returns
    -------
    Array
        Shape ``(n - h + 1, m - w + 1)``, in the dtype of X, with sums as `corr1d` does them.

    Raises
    ------
    ShapeError
        If a rank is not 2, the kernel is empty, or it is larger than X on an axis.
    DtypeError
        As for `corr1d`.

    Examples
    --------
    >>> corr2d(np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2))
    array([[19, 25],
           [37, 43]])
    """
    image, kernel, Y = _operands(X, K, rank=2)
    h, w = kernel.shape
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (image[i : i + h, j : j + w] * kernel).sum(dtype=Y.dtype)
    return _rounded(Y, X)


def corr3d(X: Array, K: Array) -> Array:
    """Slide the kernel K through the volume X (a video, a scan), as `corr2d` does over an image.

    Parameters
    ----------
    X, K
        As for `corr1d`, of shapes ``(t, n, m)`` and ``(s, h, w)``, each size of K from 1 to that of X.

    Returns
    -------
    Array
        Shape ``(t - s + 1, n - h + 1, m - w + 1)``, in the dtype of X, with sums as `corr1d` does them.

    Raises
    ------
    ShapeError
        If a rank is not 3, the kernel is empty, or it is larger than X on an axis.
    DtypeError
        As for `corr1d`.
    """
    volume, kernel, Y = _operands(X, K, rank=3)
    s, h, w = kernel.shape
    for t in range(Y.shape[0]):
        for i in range(Y.shape[1]):
            for j in range(Y.shape[2]):
                Y[t, i, j] = (volume[t : t + s, i : i + h, j : j + w] * kernel).sum(dtype=Y.dtype)
    return _rounded(Y, X)


def _operands(X: Any, K: Any, *, rank: int) -> tuple[Any, Any, Any]:
    """X and K in the dtype that their products are summed in, and zeros of the result's shape."""
    _check_arrays(X, K, rank)
    _check_shapes(tuple(X.shape), tuple(K.shape), rank)
    shape = tuple(n - k + 1 for n, k in zip(X.shape, K.shape, strict=True))
    X, K = _widened(X), _widened(K)
    return X, K, np.zeros(shape, X.dtype) if isinstance(X, np.ndarray) else X.new_zeros(shape)


def _widened(array: Any) -> Any:
    numpy, name = isinstance(array, np.ndarray), _dtype_name(array)
    if name in _NARROW:
        return array.astype(np.float32) if numpy else array.float()
    if name in _UNSUMMED and not numpy:
        return array.long()
    return array


def _rounded(Y: Any, X: Array) -> Array:
    dtype = cast("Any", X).dtype
    if Y.dtype != dtype:
        Y = Y.astype(dtype) if isinstance(Y, np.ndarray) else Y.to(dtype)
    return cast("Array", Y)


def _check_arrays(X: Any, K: Any, rank: int) -> None:
    name = f"corr{rank}d"
    libraries = _library(X), _library(K)
    if "" in libraries or len(set(libraries)) > 1:
        raise DtypeError(f"{name} takes two NumPy arrays or two torch tensors, got {_type_name(X)} and {_type_name(K)}")
    if X.dtype != K.dtype:
        raise DtypeError(f"{name} takes arrays of one dtype, got {X.dtype} and {K.dtype}")
    if _dtype_name(X) not in _NUMBERS:
        raise DtypeError(f"{name} takes arrays of numbers, got {X.dtype}")
    if libraries == ("torch", "torch") and X.device != K.device:
        raise DtypeError(f"{name} takes tensors on one device, got {X.device} and {K.device}")


def _check_shapes(x: Index, k: Index, rank: int) -> None:
    name = f"corr{rank}d"
    if (len(x), len(k)) != (rank, rank):
        raise ShapeError(f"{name} takes two arrays of rank {rank}, got shapes {x} and {k}")
    if 0 in k:
        raise ShapeError(f"{name} takes a kernel of at least one element, got shape {k}")
    if any(size < taps for size, taps in zip(x, k, strict=True)):
        raise ShapeError(f"{name} takes a kernel no larger than the input {x} on any axis, got {k}")


def _library(array: Any) -> str:
    # Other subclasses of ndarray (matrix, masked arrays) give * and sum a meaning of their own.
    if type(array) in (np.ndarray, np.memmap):
        return "numpy"
    return "torch" if hasattr(array, "new_zeros") and hasattr(array, "device") else ""


def _type_name(array: Any) -> str:
    return f"{type(array).__module__}.{type(array).__qualname__}".removeprefix("builtins.")


def _dtype_name(array: Any) -> str:
    return array.dtype.name if isinstance(array, np.ndarray) else str(array.dtype).removeprefix("torch.")
