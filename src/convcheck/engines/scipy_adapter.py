"""scipy.signal.correlate as an engine: channel by channel, direct method, padding by zeros around the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy.signal import correlate

from convcheck.engines.base import Engine
from convcheck.engines.wrap import wrap

__all__ = ["make"]

Array = np.ndarray[Any, Any]


def make(**options: Any) -> Engine:
    """Make the engine; options are those of `convcheck.engines.wrap.wrap`."""
    defaults: dict[str, Any] = {"ndim": (1, 2, 3), "array": "numpy", "style": "functional"}
    defaults["dtypes"] = ("f32", "f64", "i64", "i32")  # what scipy.signal.correlate takes
    engine = wrap(_correlate, name="scipy", **(defaults | options))
    return engine.replace(versions=(*engine.versions, f"scipy {scipy.__version__}"))


def _correlate(x: Array, w: Array, bias: Array | None = None, stride: Any = 1, groups: int = 1) -> Array:
    if x.ndim != w.ndim or groups < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ValueError(f"x {x.shape} and w {w.shape} do not go together in {groups} groups")
    if any(k > s for k, s in zip(w.shape[2:], x.shape[2:], strict=True)):
        raise ValueError(f"the kernel {w.shape[2:]} is larger than the input {x.shape[2:]}")
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"a bias of shape {bias.shape} for {w.shape[0]} filters")
    steps: tuple[Any, ...] = (stride,) * (x.ndim - 2) if isinstance(stride, int) else tuple(stride)
    if min(steps) < 1:
        raise ValueError(f"stride {stride}")
    sizes = tuple(s - k + 1 for s, k in zip(x.shape[2:], w.shape[2:], strict=True))
    y = np.zeros((x.shape[0], w.shape[0], *sizes), x.dtype)
    for n, o, c in np.ndindex(x.shape[0], *w.shape[:2]):
        channel = o // (w.shape[0] // groups) * w.shape[1] + c
        y[n, o] += correlate(x[n, channel], w[o, c], "valid", method="direct")
    if bias is not None:
        y += bias.reshape(-1, *(1,) * len(sizes))
    strided: list[Any] = [slice(None, None, s) for s in steps]
    return np.ascontiguousarray(y[..., *strided])
