"""Torch's global flags, each set for a while and put back whatever happens; and tensors that lie otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from convcheck.layouts import telltale

__all__ = [
    "channels_last",
    "cudnn",
    "deterministic",
    "float64_by_default",
    "one_thread",
    "requiring_grad",
    "threads",
    "with_offset",
    "with_parameter",
    "without_mkldnn",
    "without_tf32",
]

Tensors = Sequence[Any]


@contextmanager
def _held(get: Callable[[], Any], put: Callable[[Any], Any], value: Any) -> Iterator[None]:
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


def threads(count: int) -> AbstractContextManager[None]:
    """So many threads inside an operator."""
    import torch

    return _held(torch.get_num_threads, torch.set_num_threads, count)


def one_thread() -> AbstractContextManager[None]:
    """One thread in torch, where it has been imported: more cost small problems more than they bring."""
    return threads(1) if "torch" in sys.modules else nullcontext()


def deterministic() -> AbstractContextManager[None]:
    """Deterministic algorithms where there are any; torch then also fills fresh memory with NaN."""
    import torch  # the debug mode is the flag of use_deterministic_algorithms, without its imports

    return _held(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, "warn")


def float64_by_default() -> AbstractContextManager[None]:
    """New tensors are of float64 where nothing else is said."""
    import torch

    return _held(torch.get_default_dtype, torch.set_default_dtype, torch.float64)


@contextmanager
def without_mkldnn() -> Iterator[None]:
    """Torch's own kernels instead of oneDNN's, nor NNPACK's, whose transforms are inexact (examples/found)."""
    from torch import _C  # torch.backends.mkldnn.flags sets other flags too, and warns of them

    get, put = getattr(_C, "_get_nnpack_enabled", bool), getattr(_C, "_set_nnpack_enabled", lambda _: None)
    with _held(_C._get_mkldnn_enabled, _C._set_mkldnn_enabled, False), _held(get, put, False):  # noqa: SLF001
        yield


def cudnn(*, benchmark: bool, deterministic: bool) -> AbstractContextManager[None]:
    """How cuDNN chooses its algorithms: by measuring them, and only among those that give the same bits again."""
    from torch.backends import cudnn as flags

    def put(values: tuple[bool, bool]) -> None:
        flags.benchmark, flags.deterministic = values

    return _held(lambda: (flags.benchmark, flags.deterministic), put, (benchmark, deterministic))


def without_tf32() -> None:
    """Let CUDA multiply float32 as float32, and add 16-bit floats up in float32, from now on."""
    from torch.backends import cuda, cudnn

    cuda.matmul.allow_fp16_reduced_precision_reduction = False
    cuda.matmul.allow_bf16_reduced_precision_reduction = False
    backends: tuple[Any, ...] = (cuda.matmul, getattr(cudnn, "conv", cudnn))
    for backend in backends:
        if hasattr(backend, "fp32_precision"):  # since torch 2.9, which refuses a mixture of both ways
            backend.fp32_precision = "ieee"
        else:
            backend.allow_tf32 = False


def channels_last(tensors: Tensors) -> Tensors:
    """Lay images and kernels out with their channels fastest.

    Raises
    ------
    NotImplementedError
        If torch has no such layout for as many axes.
    """
    import torch

    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensors[0].ndim)
    if layout is None:
        raise NotImplementedError(f"no channels_last of {tensors[0].ndim} axes")
    return [t.contiguous(memory_format=layout) if t is not None and t.ndim > 1 else t for t in tensors]


def with_offset(tensors: Tensors) -> Tensors:
    """Let every tensor start inside its storage, which holds other values before and behind it."""
    return [None if t is None else _inside(t) for t in tensors]


def _inside(tensor: Any) -> Any:
    host = tensor.new_full((tensor.numel() + 8,), telltale(tensor.element_size()))
    view = host[3 : 3 + tensor.numel()].view(tensor.shape)
    view.copy_(tensor)
    return view


def with_parameter(tensors: Tensors) -> Tensors:
    """Let the second tensor be a parameter, as a layer holds its weight."""
    import torch

    first, second, *rest = tensors
    return [first, torch.nn.Parameter(second, requires_grad=second.is_floating_point()), *rest]


def requiring_grad(index: int, tensors: Tensors) -> Tensors:
    """Let one of the tensors require a gradient.

    Raises
    ------
    NotImplementedError
        If there is none, or it holds integers.
    """
    chosen = tensors[index]
    if chosen is None or not chosen.is_floating_point():
        raise NotImplementedError("nothing there to differentiate by")
    chosen.requires_grad_()
    return tensors
