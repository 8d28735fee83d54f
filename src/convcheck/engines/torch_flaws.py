"""What torch's own convolution gets wrong on some processors, which is no doing of a target that calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from threading import Lock
from typing import Any

import numpy as np

from convcheck.engines import torch_state
from convcheck.engines.operators import is_scripted
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["WithoutOneDNN", "calls_convolution", "is_torchs_own", "sparing"]

Array = np.ndarray[Any, Any]
Apply = Callable[[Map, Problem, Operands], Array]


class WithoutOneDNN:
    """Makes calls compute by torch's own kernels, also where several threads call at once.

    On processors with AVX-512, oneDNN crashes, reads beside its operands, and sums what it should not: examples/found.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._held = ExitStack()

    def __call__(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with oneDNN left out while it lasts."""

        def native(*given: Any) -> Any:
            with self:
                return call(*given)

        return native

    def __enter__(self) -> None:
        """Leave oneDNN out from the first of several calls on."""
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._held.enter_context(torch_state.without_mkldnn())

    def __exit__(self, *_: object) -> None:
        """Put it back after the last."""
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._held.close()


def sparing(apply: Apply) -> Apply:
    """Return the same, but for what torch takes and should not: a dilation of 0, transposed (examples/found)."""

    def spared(which: Map, problem: Problem, operands: Operands) -> Array:
        if which is Map.GRAD_INPUT and 0 in problem.dilation:
            raise NotImplementedError("torch's transposed convolution accepts a dilation of 0")
        return apply(which, problem, operands)

    return spared


def is_torchs_own(function: Any) -> bool:
    """Whether a function is one of torch, whose flaws are its own."""
    if is_scripted(function):
        return False
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):  # the method "apply" of an autograd.Function is torch's, but the function is not
        function = owner
    home = str(getattr(function, "__module__", "") or "")
    return home.partition(".")[0] in ("torch", "_torch") or "torch._C" in repr(function)


def calls_convolution(call: Callable[[], Any]) -> bool:
    """Whether a call reaches one of torch's operators of convolution, or one of somebody's, which may do so inside."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: set[str] = set()

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.add(str(func))
            return func(*args, **(kwargs or {}))

    with Recorder():  # type: ignore[no-untyped-call]
        call()
    return any("conv" in name or not name.startswith(("aten.", "prim.", "prims.")) for name in seen)
