"""Weights below 2.2e-16 count as zero, whatever they meet: scipy.ndimage.correlate and convolve.

Found by the law accuracy in SciPy 1.17.1, in float64 and float32. The kernel's footprint is taken from its values, and
leaves out those whose magnitude is at most the machine epsilon, an absolute bound. Nothing is said of that where
``weights`` are documented, and correlate1d keeps them. Kernels of small integers never show it.

    convcheck replay examples.found.scipy_ndimage_small_weights:corr2d
        'accuracy f64 n1 g1 c1 o1 i1x1 k1x1 s1x1 p0x0 d1x1 x=points@0,0,0,0=1e+30 w=points@0,0,0,0=1e-16' --dtype f64

By hand: 1e30 times 1e-16 is 1e14, not 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

__all__ = ["corr2d"]

Array = np.ndarray[Any, Any]


def corr2d(X: Array, K: Array) -> Array:
    """Correlate where the kernel fits: what ndimage returns has the size of the image, centred on the kernel."""
    if any(k > n for k, n in zip(K.shape, X.shape, strict=True)):
        raise ValueError(f"a kernel of {K.shape} does not fit into {X.shape}")
    (rows, columns), (first, left) = (np.subtract(X.shape, K.shape) + 1), (K.shape[0] // 2, K.shape[1] // 2)
    y: Array = ndimage.correlate(X, K, mode="constant")
    return y[first : first + rows, left : left + columns]


if __name__ == "__main__":
    for weight in (1e-15, 1e-16):
        print(f"1e30 times {weight:g} is {corr2d(np.array([[1e30]]), np.array([[weight]])).item():g}")
