"""What torch's own convolution gets wrong on some processors, which is no doing of a target that calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import cache
from threading import Lock
from typing import Any

import numpy as np

from convcheck.engines import torch_state
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import taps

__all__ = ["Native", "calls_convolution", "is_torchs_own", "leaks_nan_in_bf16", "meets_padding_alone", "sparing"]

Array = np.ndarray[Any, Any]
Apply = Callable[[Map, Problem, Operands], Array]


def meets_padding_alone(problem: Problem) -> bool:
    """Whether no tap of any output lies inside the input along some axis."""
    outputs = [out for _, out in taps(problem)]
    return any(all(out[axis].start == out[axis].stop for out in outputs) for axis in range(problem.ndim))


def sparing(apply: Apply) -> Apply:
    """Return the same, but for what torch 2.13 dies of: examples/found/torch_channels_last_padding_only.py."""

    def spared(which: Map, problem: Problem, operands: Operands) -> Array:
        contiguous = all(array is None or array.flags.c_contiguous for array in operands)
        if not contiguous and isinstance(problem, Problem) and meets_padding_alone(problem):
            raise NotImplementedError("it calls torch's convolution, which may crash where it meets padding alone")
        return apply(which, problem, operands)

    return spared


class Native:
    """Makes calls compute bfloat16 without oneDNN, also where several threads call at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._held = ExitStack()

    def __call__(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with oneDNN left out while it lasts, where it is given a problem of bfloat16."""

        def native(*given: Any) -> Any:
            with self if _dtype(given) == "bf16" else nullcontext():
                return call(*given)

        return native

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._held.enter_context(torch_state.without_mkldnn())

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._held.close()


def _dtype(given: tuple[Any, ...]) -> str:
    """The dtype of the problem that is among the arguments of a call, or of the first of several calls."""
    found = given[0][0] if isinstance(given[0], list | tuple) else given
    return next((each.dtype for each in found if isinstance(each, Problem)), "")


def is_torchs_own(function: Any) -> bool:
    """Whether a function is one of torch, whose flaws are its own."""
    home = str(getattr(function, "__module__", "") or "")
    return home.partition(".")[0] in ("torch", "_torch") or "torch._C" in repr(function)


def calls_convolution(call: Callable[[], Any]) -> bool:
    """Whether a call reaches torch's operator of convolution."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: set[str] = set()

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.add(str(func))
            return func(*args, **(kwargs or {}))

    with Recorder():  # type: ignore[no-untyped-call]
        call()
    return any("convolution" in name for name in seen)


@cache
def leaks_nan_in_bf16() -> bool:
    """Whether torch's convolution in bfloat16 lets a NaN through from beside the receptive field.

    With AVX512_BF16 it does in torch 2.13, and there damages memory too: examples/found/torch_bf16_nan_beside.py.
    """
    import torch

    image = torch.tensor([[[[0.0, torch.nan, 0.0]]]], dtype=torch.bfloat16)
    kernel = torch.zeros(1, 1, 2, 1, dtype=torch.bfloat16)
    return bool(torch.nn.functional.conv2d(image, kernel, padding=(1, 0))[..., 0].isnan().any())
