"""Layers as functions: a subclass of ``torch.nn.Module`` becomes ``f(x, w, bias, ...)``, built for every call."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from convcheck.engines.caller import Caller
from convcheck.engines.constructors import read_constructor
from convcheck.engines.modes import Mode, Modes
from convcheck.engines.signature import ALIASES
from convcheck.errors import UsageError

__all__ = ["PADDING_MODES", "Layers", "is_layer_class", "layers_of"]

#: what layers call the modes of padding that `numpy.pad` calls wrap, reflect and edge
PADDING_MODES = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}
#: parameters of a constructor that a call of the function has too
_OF_CALLS = tuple(name for name in ALIASES if name != "bias")


def is_layer_class(target: Any) -> bool:
    """Whether a target is a class of torch layers.

    Raises
    ------
    UsageError
        If it is a layer, which has its weight already, where the class is needed.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(target, torch.nn.Module):
        if len(inspect.signature(target.forward).parameters) > 1:  # it is given its weight
            return False
        kind = type(target).__qualname__
        raise UsageError(f"the target is one layer, with sizes and a weight of its own; give its class, {kind}")
    return isinstance(target, type) and issubclass(target, torch.nn.Module)


@dataclass(frozen=True)
class Layers:
    """A class of layers, and how one is constructed for given operands.

    ``names`` are its constructor's parameters by convcheck's names. A ``bare`` layer has a weight of the kernel's
    shape alone, a ``transposed`` one has the channels of its input first. ``bias`` says that it can have a bias, and
    ``modes`` in which ways it pads, beside with zeros.
    """

    cls: type
    names: dict[str, str]
    transposed: bool
    bare: bool = False
    bias: bool = False
    modes: tuple[str, ...] = ()

    def function(self) -> Callable[..., Any]:
        """Return the function ``f(x, w, bias, ...)``, with the parameters of the constructor that a call can have."""

        def layer(x: Any, w: Any, **given: Any) -> Any:
            return self(x, w, **given)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = [self.names[name] for name in _OF_CALLS if name in self.names]
        names += [self._bias] * self.bias
        parameters = [inspect.Parameter(name, kind, default=None) for name in names]
        arrays = [inspect.Parameter(name, kind) for name in ("x", "w")]
        layer.__signature__ = inspect.Signature([*arrays, *parameters])  # type: ignore[attr-defined]
        layer.__module__ = self.cls.__module__
        return layer

    def modes_of(self, caller: Caller) -> Modes:
        """Other ways to call a layer: with modes of padding, its state loaded, again, copied, on one image alone."""
        from torch.nn.modules.conv import _ConvNd

        def mode(name: str, function: Callable[..., Any], *, must: bool = True) -> Mode:
            other = replace(caller, function=function)
            return Mode(name, lambda _, problem, operands: other.on_numpy(problem, operands), (caller.primary,), must)

        padded = tuple(mode(name, partial(self, **{self.names["padding_mode"]: name})) for name in self.modes)
        calls = tuple(
            mode(
                f"in {name} mode" + ", its weight and image changed since" * changed,
                partial(self.again, name == "eval", changed),
            )
            for name in ("training", "eval")
            for changed in (False, True)
        )
        calls += (mode("as a copy of one that was called", self.copied, must=False),)
        if issubclass(self.cls, _ConvNd):  # of other layers, nobody promised it
            calls += (mode("on one image without a batch", self.unbatched, must=False),)
        states = (mode("reloaded", self.reloaded), mode("reloaded after a call", partial(self.reloaded, used=True)))
        return {"state": states, "calls": calls} | ({"padding": padded} if padded else {})

    def __call__(self, x: Any, w: Any, **given: Any) -> Any:
        """Construct a layer, put w and the bias in the place of its own, and call it: gradients arrive at both."""
        import torch

        layer, state = self.build(x, w, given)
        return torch.func.functional_call(layer, state, (x,))

    def reloaded(self, x: Any, w: Any, *, used: bool = False, **given: Any) -> Any:
        """Call a layer that was loaded with the state of one that has w and the bias; ``used``: not its first call."""
        import torch

        (saved, state), (loaded, _) = (self.build(x, w, given) for _ in range(2))
        places = _state_of(saved)
        with torch.no_grad():
            for name, value in state.items():
                places[name].copy_(value)
            if used:
                loaded.eval()(x)
            loaded.load_state_dict(saved.state_dict())
            return loaded(x)

    def again(self, evaluates: bool, changed: bool, /, x: Any, w: Any, **given: Any) -> Any:  # noqa: FBT001
        """Call one layer three times, for the third result; before, if it is to be changed, also with other weights.

        These have the memory, the shape and the first element of the later ones. Images are smaller and fewer, too.
        """
        import torch

        layer, state = self.build(x, w, given)
        places = _state_of(layer)
        with torch.no_grad():
            if changed:
                for name, value in state.items():
                    places[name].copy_(_first_alone(value))
                layer.train(not evaluates)
                for less in (x[..., :-1], x[..., :-1, :], x[:1]):
                    with suppress(Exception):  # it may be too small for the kernel
                        layer(less)
                layer(x)
                layer.train()
            for name, value in state.items():
                places[name].copy_(value)
            layer.train(not evaluates)
            return [layer(x) for _ in range(3)][-1]

    def copied(self, x: Any, w: Any, **given: Any) -> Any:
        """Call a copy of a layer that was called before, with other weights."""
        import torch

        layer, state = self.build(x, w, given)
        with torch.no_grad():
            layer.eval()(x)
            twin = deepcopy(layer).train()
            places = _state_of(twin)
            for name, value in state.items():
                places[name].copy_(value)
            return twin.eval()(x)

    def unbatched(self, x: Any, w: Any, **given: Any) -> Any:
        """Call a layer on an image that is alone, without the axis of images."""
        if len(x) != 1:
            raise NotImplementedError("several images need a batch")
        return self(x[0], w, **given)[None]

    def build(self, x: Any, w: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Construct a layer that takes x and w, and the values of its weight and of its bias by their names in it.

        Raises
        ------
        TypeError
            If it has no weight or no bias of the right shape, or computes it from other parameters.
        """
        import torch

        bias = given.get(self._bias)
        with torch.random.fork_rng(devices=()):  # what initial weights draw is no doing of a call
            layer = self.cls(**self.arguments(w, given))
            if "dtype" not in self.names:
                layer = layer.to(w.device, w.dtype)
            if isinstance(layer, torch.nn.modules.lazy.LazyModuleMixin):
                layer.initialize_parameters(x)  # type: ignore[misc]
        if torch.nn.utils.parametrize.is_parametrized(layer):
            raise TypeError("it computes its weight from other parameters, so that none can be given to it")
        places = _state_of(layer)
        weight = _place(places, "weight", w)
        state = {weight: w}
        if bias is not None:
            state[_place(places, "bias", bias, but=weight)] = bias
        elif self.bias and "bias" not in self.names:  # it always has one
            name = next(name for name in ("bias", *places) if name in places and name != weight)
            state[name] = torch.zeros_like(places[name])
        return layer, state

    def arguments(self, w: Any, given: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the constructor, for a weight of shape (O, C/g, *kernel), or (C, O/g, *kernel) if transposed."""
        shape = tuple(w.shape)
        first, second = (1, 1) if self.bare else (shape[0], shape[1] * given.get(self.names.get("groups", ""), 1))
        values = {
            "in_channels": first if self.transposed else second,
            "out_channels": second if self.transposed else first,
            "kernel_size": shape if self.bare else shape[2:],
            "bias": given.get(self._bias) is not None,
            "dtype": w.dtype,
            "device": w.device,
        }
        parameters = {name: value for name, value in given.items() if name != self._bias}
        return parameters | {self.names[name]: value for name, value in values.items() if name in self.names}

    @property
    def _bias(self) -> str:
        return self.names.get("bias", "bias")


def layers_of(cls: Any, label: str, ndims: Sequence[int], style: str | None) -> Layers:
    """Find out, by constructing a small layer, how a class is used.

    Raises
    ------
    UsageError
        If it cannot be constructed; the message says what was tried.
    """
    names = read_constructor(cls, label)
    looks_transposed = "output_padding" in names or "transpose" in label.rpartition(":")[2].lower()
    channels = {"in_channels", "out_channels"} & set(names)
    tried: list[str] = []
    for ndim, bare in product(ndims or (2, 1, 3), (False,) if channels else (True, False)):
        layers = Layers(cls, names, style == "transposed" or (style is None and looks_transposed), bare)
        try:
            return _completed(layers, *_sample(ndim, channels=(6, 4) if channels else (1, 1), bare=bare))
        except Exception as error:  # noqa: BLE001 - whatever a user's constructor raises is told
            shape = "x".join(map(str, _sample(ndim, channels=(6, 4) if channels else (1, 1), bare=bare)[1].shape))
            tried.append(f"with a weight of {shape}: {type(error).__name__}: {error}")
    raise UsageError(f"{label} cannot be used as a layer; tried it " + "; ".join(tried))


def _completed(layers: Layers, x: Any, w: Any) -> Layers:
    """Find out, by a sample, whether layers have a bias, and which modes of padding they take."""
    layer, state = layers.build(x, w, {})
    always_biased = "bias" not in layers.names and len(_state_of(layer)) > len(state)
    modes = []
    for mode in PADDING_MODES if "padding_mode" in layers.names else ():
        with suppress(Exception):  # a mode that it does not take is not offered
            layers.build(x, w, {layers.names["padding_mode"]: mode})
            modes.append(mode)
    return replace(layers, bias="bias" in layers.names or always_biased, modes=tuple(modes))


def _sample(ndim: int, *, channels: tuple[int, int], bare: bool) -> tuple[Any, Any]:
    """Return x and w of zeros, as large as each other."""
    import torch

    kernel = (2, 3, 2)[:ndim]
    w = torch.zeros(kernel if bare else (*channels, *kernel))
    return torch.zeros(kernel if bare else (1, channels[1], *kernel)), w


def _state_of(layer: Any) -> dict[str, Any]:
    return dict(layer.named_parameters()) | dict(layer.named_buffers())


def _first_alone(tensor: Any) -> Any:
    """Zeros, but for the first element."""
    import torch

    first, rest = (0,) * tensor.ndim, torch.zeros_like(tensor)
    rest[first] = tensor[first]
    return rest


def _place(places: dict[str, Any], name: str, value: Any, but: str = "") -> str:
    """Return where a layer keeps its weight or its bias: by that name, else the only one of its shape."""
    fitting = [n for n, own in places.items() if tuple(own.shape) == tuple(value.shape) and n != but]
    if name in fitting or len(fitting) == 1:
        return name if name in fitting else fitting[0]
    has = ", ".join(f"{n} {tuple(own.shape)}" for n, own in places.items()) or "nothing"
    raise TypeError(f"the layer has no {name} of shape {tuple(value.shape)}; it has {has}")
