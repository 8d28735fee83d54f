"""Faults of torch functions that only some ways of calling them show; where torch is not installed there are none."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from convcheck.engines.wrap import wrap
from convcheck.selftest.fault import Fault
from convcheck.selftest.functions import FACTS, Parameters, function_of

__all__ = ["FAULTS"]

#: tells from the input and the weight, or from torch's state, whether the mistake is made
Condition = Callable[[Any, Any], bool]


def _planted(name: str, condition: Condition) -> Fault:
    """Plant a function whose last column is one too large under a condition."""
    import torch

    def conv2d(x: Any, w: Any, bias: Any, parameters: Parameters) -> Any:
        y = torch.nn.functional.conv2d(x, w, bias, *parameters)
        return torch.cat([y[..., :-1], y[..., -1:] + 1], dim=-1) if condition(x, w) else y

    return Fault(name, "mode", wrap(function_of(conv2d), name=name, facts=FACTS))


def _conditions() -> dict[str, Condition]:
    import torch
    from torch import _C

    last = torch.channels_last
    return {
        "last-column-wrong-under-no-grad": lambda _, __: not torch.is_grad_enabled(),
        "last-column-wrong-under-inference-mode": lambda _, __: torch.is_inference_mode_enabled(),
        "last-column-wrong-where-x-requires-grad": lambda x, _: x.requires_grad,
        "last-column-wrong-where-w-requires-grad": lambda _, w: w.requires_grad,
        "last-column-wrong-for-channels-last": lambda x, _: (
            x.is_contiguous(memory_format=last) and not x.is_contiguous()
        ),
        "last-column-wrong-for-a-storage-offset": lambda x, _: x.storage_offset() > 0,
        "last-column-wrong-with-2-threads": lambda _, __: torch.get_num_threads() == 2,
        "last-column-wrong-under-vmap": lambda x, _: _C._functorch.is_batchedtensor(x),  # noqa: SLF001
        "last-column-wrong-under-autocast": lambda _, __: torch.is_autocast_enabled("cpu"),
        "last-column-wrong-when-deterministic": lambda _, __: torch.are_deterministic_algorithms_enabled(),
        "last-column-wrong-without-mkldnn": lambda _, __: not _C._get_mkldnn_enabled(),  # noqa: SLF001
    }


FAULTS: tuple[Fault, ...] = (
    tuple(_planted(name, condition) for name, condition in _conditions().items()) if find_spec("torch") else ()
)
