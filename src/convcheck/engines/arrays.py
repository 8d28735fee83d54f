"""Array kinds: how NumPy operands become what a target takes, and what it returns becomes NumPy again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from convcheck.engines import torch_state
from convcheck.errors import UsageError

__all__ = ["KINDS", "ArrayKind", "as_numpy", "kind_named"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ArrayKind:
    """One library's arrays. Conversions share memory wherever the library can, so that strides are kept.

    ``device`` is where they lie; torch's device ``meta`` has shapes and no values (``has_values``).
    """

    name: str
    owns: Callable[[Any], bool]
    to_native: Callable[[Array], Any]
    to_numpy: Callable[[Any], Array]
    version: Callable[[], str]
    device: str = "cpu"
    has_values: bool = True


def as_numpy(kind: ArrayKind, result: Any) -> Array:
    """Return a target's result as a NumPy array.

    Raises
    ------
    TypeError
        If it is no array of the kind that the target was given, or its elements are no numbers.
    """
    if not kind.owns(result):
        raise TypeError(f"returned {_describe(result)} instead of a {kind.name} array")
    array = kind.to_numpy(result)
    if not _holds_numbers(array.dtype):
        raise TypeError(f"returned an array of {array.dtype}, which are no numbers that can be judged")
    return array


def _holds_numbers(dtype: np.dtype) -> bool:
    """Whether elements are numbers of at most 64 bits in each part: bfloat16 and its like are void to NumPy."""
    if dtype.kind == "V":
        return dtype.type is not np.void
    return dtype.kind in "iufc" and dtype.itemsize <= (16 if dtype.kind == "c" else 8)


def _describe(value: Any) -> str:
    kind = type(value)
    return f"{value}" if value is None else f"a {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")


def kind_named(name: str, device: str = "cpu") -> ArrayKind:
    """Return an array kind by name, importing its library.

    Raises
    ------
    UsageError
        If there is no such kind, its library is not installed, or the device belongs to no library.
    """
    if name not in KINDS:
        raise UsageError(f"no arrays are called {name!r}; there are {', '.join(KINDS)}")
    if device != "cpu" and name != "torch":
        raise UsageError(f"the device {device!r} needs torch arrays, not {name} arrays")
    try:
        return KINDS[name](device)
    except ImportError as error:
        raise UsageError(f"{name} arrays need {name}, which cannot be imported: {error}") from error


def _numpy(_: str) -> ArrayKind:
    return ArrayKind(
        "numpy",
        owns=lambda value: isinstance(value, np.ndarray | np.generic),
        to_native=lambda array: array,
        to_numpy=np.asarray,
        version=lambda: f"numpy {np.__version__}",
    )


def _torch(device: str) -> ArrayKind:
    import torch

    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    place = _device(device)
    if place.type == "cuda":
        torch_state.without_tf32()

    def to_native(array: Array) -> Any:
        repeated = _repeated(array)
        if any(repeated):
            once = array[tuple(slice(0, 1) if again else slice(None) for again in repeated)]
            return to_native(once.copy()).expand(array.shape)  # as broadcasting and sum().backward() make them
        if min(array.strides, default=0) < 0 or not array.flags.writeable:
            array = array.copy()  # torch has neither negative strides nor read-only tensors
        if array.dtype == bfloat16:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
        return torch.from_numpy(array).to(device)

    def to_numpy(value: Any) -> Array:
        if value.is_meta:
            value = torch.zeros_like(value, device="cpu")
        plain = value.detach().resolve_conj().resolve_neg().cpu()
        if plain.dtype == torch.bfloat16:
            return np.asarray(plain.view(torch.int16).numpy().view(bfloat16))
        return np.asarray(plain.numpy())

    return ArrayKind(
        "torch",
        owns=lambda value: isinstance(value, torch.Tensor),
        to_native=to_native,
        to_numpy=to_numpy,
        version=lambda: f"torch {torch.__version__}{_named(place)}",
        device=device,
        has_values=place.type != "meta",
    )


def _repeated(array: Array) -> tuple[bool, ...]:
    """Along which axes an array repeats one entry: stride 0."""
    return tuple(step == 0 and size > 1 for step, size in zip(array.strides, array.shape, strict=True))


def _device(device: str) -> Any:
    """Return a torch device.

    Raises
    ------
    UsageError
        If torch has no such device, or there is none here.
    """
    import torch

    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"the device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return place


def _named(place: Any) -> str:
    """Name a GPU as its maker does."""
    import torch

    return f" on {torch.cuda.get_device_name(place)}" if place.type == "cuda" else ""


def _jax(_: str) -> ArrayKind:
    import jax

    config: Any = jax.config
    config.update("jax_enable_x64", True)  # or float64 operands would silently become float32
    return ArrayKind(
        "jax",
        owns=lambda value: isinstance(value, jax.Array),
        to_native=jax.numpy.asarray,
        to_numpy=np.asarray,
        version=lambda: f"jax {jax.__version__}",
    )


KINDS: dict[str, Callable[[str], ArrayKind]] = {"numpy": _numpy, "torch": _torch, "jax": _jax}
