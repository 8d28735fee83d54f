"""torch.nn.functional.conv1d, conv2d and conv3d as one engine."""

from __future__ import annotations

from typing import Any

import torch

from convcheck.engines.base import Engine
from convcheck.engines.wrap import wrap

__all__ = ["make"]


def make(**options: Any) -> Engine:
    """Make the engine; options are those of `convcheck.engines.wrap.wrap`."""
    defaults: dict[str, Any] = {"ndim": (1, 2, 3), "array": "torch", "style": "functional"}
    return wrap(_conv, name="torch", **(defaults | options))


def _conv(
    x: torch.Tensor,
    w: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    function = {
        3: torch.nn.functional.conv1d,
        4: torch.nn.functional.conv2d,
        5: torch.nn.functional.conv3d,
    }[x.ndim]
    try:
        return function(x, w, bias, stride, padding, dilation, groups)
    except RuntimeError as error:  # before 2.5 torch did not say NotImplementedError
        if "not implemented for" in str(error):
            raise NotImplementedError(str(error)) from error
        raise
