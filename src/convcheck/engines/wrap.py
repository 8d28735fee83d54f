"""Make an engine from a user's function: what it takes is read from its signature and found by tiny probes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from convcheck.bounds import INPUT_ROUNDOFFS, Numerics
from convcheck.dtypes import check_names
from convcheck.engines import torch_flaws
from convcheck.engines.arrays import kind_named
from convcheck.engines.backward import read_backward
from convcheck.engines.base import Engine
from convcheck.engines.caller import STYLES, Caller
from convcheck.engines.capabilities import Capabilities
from convcheck.engines.derivatives import Derivatives, apply_of
from convcheck.engines.facts import Facts, Wanted, Watch
from convcheck.engines.layers import Layers, is_layer_class, layers_of
from convcheck.engines.probes import Prober
from convcheck.engines.probes.derivatives import described, found_again, sought
from convcheck.engines.signature import Signature, code_of, read_signature
from convcheck.engines.torch_modes import modes_of
from convcheck.errors import UsageError
from convcheck.problem import Map
from convcheck.traces import remember

__all__ = ["wrap"]

#: autograd adds partial gradients up in the operands' own type, where that is a low-precision one
_LOW = {"f16": "f16", "bf16": "bf16"}


def wrap(  # noqa: PLR0913 - everything that a user may say about a function
    function: Callable[..., Any],
    *,
    name: str | None = None,
    ndim: Sequence[int] | int | None = None,
    array: str | None = None,
    style: str | None = None,
    dtypes: Sequence[str] | None = None,
    device: str = "cpu",
    convention: str | None = None,
    accuracy: str | None = None,
    accumulator: str | None = None,
    input_rounding: str | None = None,
    splits: int = 0,
    vjp: Callable[..., Any] | str | None = None,
    facts: Facts | None = None,
    watch: Watch = Watch(),  # noqa: B008 - frozen
) -> Engine:
    """Make an engine from a function; everything that is left out is inferred, and noted in ``engine.notes``.

    Parameters
    ----------
    function
        ``f(X, K)`` on bare spatial arrays, or ``f(x, w, bias, stride, padding, dilation, groups)`` on
        (N, C, *size) and (O, C/groups, *kernel), or any subset of these arguments under their usual names. A transposed
        convolution takes (N, O, *size) and (O, C/groups, *kernel), and ``output_padding`` too.
    ndim
        Spatial axes that it takes: 1, 2, 3 or several of them.
    array
        ``numpy``, ``torch`` or ``jax``.
    style
        ``functional``, ``bare`` or ``transposed``.
    dtypes
        Names from `convcheck.dtypes`.
    device
        Any torch device string.
    convention
        ``correlation``, or ``convolution`` where the kernel is meant to be flipped, as of a function that is called
        "convolve" it is unless said otherwise.
    accuracy
        ``componentwise`` or ``normwise`` (Winograd, FFT).
    accumulator
        ``wide`` (float32) or ``narrow`` (the operands' own type), in which sums of float16 and bfloat16 are kept.
    input_rounding
        ``tf32`` or ``bf16``, where float32 operands are rounded to it before they are multiplied.
    splits
        Number of partial sums that are stored in the result's type (split-k).
    vjp
        The function's gradients, written by hand: a function (or ``package.module:attribute``, by which workers and
        commands find it again) that takes the upstream gradient, the input and the kernel, then any of bias, stride,
        padding, dilation and groups in the forms that the function takes, and returns (grad_x, grad_w) or (grad_x,
        grad_w, grad_b); None stands for one that it does not compute. Without it, torch and jax differentiate.
    facts
        What an earlier call inferred (``engine.facts``), so that nothing is probed again.
    watch
        Who is told of every probe before it is made.

    Raises
    ------
    UsageError
        If the function cannot be a convolution, or an option does not exist; the message shows the value.
    """
    remember(anew=facts is None)
    label = name or str(getattr(function, "__name__", repr(function)))
    _check_options(
        dtypes or (),
        style=style,
        convention=convention,
        accuracy=accuracy,
        accumulator=accumulator,
        input_rounding=input_rounding,
    )
    if not isinstance(splits, int) or splits < 0:
        raise UsageError(f"splits is {splits!r}; it is a number of partial sums")
    layers = None
    if is_layer_class(function):
        layers = layers_of(function, label, _as_tuple(ndim) or _ndims_of(label), style)
        function, array = layers.function(), array or "torch"
    signature = read_signature(function, label)
    backward = None if vjp is None else read_backward(vjp)
    if facts is None:
        prober = Prober(
            caller=lambda kind, style: Caller(function, signature, kind, style, {}),
            kinds=[kind_named(n, device) for n in ([array] if array else _kinds_of(function, device))],
            styles=[style] if style else _styles_of(label, signature),
            ndims=_as_tuple(ndim),
            hints=_ndims_of(label),
            flips=convention == "convolution",
            may_flip=convention is None and "convolve" in label.rpartition(":")[2].lower(),
            watch=watch,
        )
        found = prober.run(Wanted(tuple(dtypes or ()), accuracy, accumulator, input_rounding, splits))
        facts = sought(found, _caller(function, signature, found, device), backward, watch)
    caller = _caller(function, signature, facts, device)
    return _engine(label, caller, facts, found_again(facts, caller, backward), layers)


def _caller(function: Callable[..., Any], signature: Signature, facts: Facts, device: str) -> Caller:
    return Caller(function, signature, kind_named(facts.kind, device), facts.style, facts.forms)


def _engine(
    label: str,
    caller: Caller,
    facts: Facts,
    derivatives: Derivatives | None,
    layers: Layers | None,
) -> Engine:
    primary = caller.primary
    maps = tuple(m for m in Map if m is primary or (derivatives and m.result in derivatives.roles))
    note = ("layer: constructed anew for every call",) if layers else ()
    apply = apply_of(primary, caller.on_numpy, derivatives)
    apply = torch_flaws.sparing(apply) if facts.inherits else apply
    differentiable = bool(derivatives and derivatives.accumulate)
    modes = modes_of(caller, apply, differentiable=differentiable, mkldnn=not facts.inherits)
    engine = Engine(
        name=label,
        capabilities=Capabilities(
            facts.ndims,
            facts.dtypes,
            facts.features,
            maps,
            facts.work_limit,
            primary,
            facts.kernels,
            (facts.problem.channels, facts.problem.filters),
        ),
        apply=apply,
        derivatives=derivatives,
        modes={**modes, **(layers.modes_of(caller) if layers else {})},
        has_values=caller.kind.has_values,
        buffered=bool(caller.signature.buffer),
        refusals=facts.refusals,
        convention=facts.convention,
        numerics=_numerics(facts.numerics, primary, low=_LOW if derivatives else {}),
        notes=(*note, *facts.notes, f"gradients: {described(derivatives)}"),
        versions=(caller.kind.version(),),
        facts=facts,
    )
    return engine.timed(torch_flaws.WithoutOneDNN()) if facts.inherits else engine


def _numerics(own: Numerics, primary: Map, low: Mapping[str, str]) -> Numerics:
    """Return the numerics with accumulators for all maps: the target's own for the primary one, low for the others."""
    if primary is Map.FORWARD:
        return replace(own, gradient_accumulators=low)
    return replace(own, accumulators=low, gradient_accumulators=own.accumulators)


#: what an option of `wrap` may be
_CHOICES = {
    "style": STYLES,
    "convention": ("correlation", "convolution"),
    "accuracy": ("componentwise", "normwise"),
    "accumulator": ("wide", "narrow"),
    "input_rounding": tuple(INPUT_ROUNDOFFS),
}


def _check_options(dtypes: Sequence[str], **given: str | None) -> None:
    for what, value in given.items():
        if value is not None and value not in _CHOICES[what]:
            raise UsageError(f"no {what} is called {value!r}; there are {', '.join(_CHOICES[what])}")
    check_names(dtypes)


def _kinds_of(function: Callable[..., Any], device: str) -> list[str]:
    """Array kinds worth trying, likeliest first: by annotations, by module, by what the module uses."""
    if device != "cpu":
        return ["torch"]
    code = code_of(function)
    hints = " ".join(map(str, getattr(code, "__annotations__", {}).values()))
    homes = {str(getattr(each, "__module__", "") or "").partition(".")[0].strip("_") for each in (function, code)}
    for name in ("torch", "jax"):
        if name in hints.lower() or name in homes or "torch._C" in repr(function):
            return [name]
    if "ndarray" in hints or "numpy" in hints:
        return ["numpy"]
    used = [n for n in ("torch", "jax") if n in sys.modules and _uses(code, n)]
    return ["numpy", *used] if _uses(code, "numpy") or not used else [*used, "numpy"]


def _uses(function: Callable[..., Any], library: str) -> bool:
    """Whether the function's module holds the library, or something from it, under any name."""
    for value in list(getattr(function, "__globals__", {}).values()):
        module = getattr(value, "__name__", "") if isinstance(value, type(sys)) else getattr(value, "__module__", "")
        if str(module).split(".")[0] == library:
            return True
    return False


def _styles_of(label: str, signature: Signature) -> list[str]:
    if "output_padding" in signature.names:
        return ["transposed"]
    if "transpose" in label.rpartition(":")[2].lower():  # or is made of one
        return ["transposed", "functional", "bare"]
    return ["functional", "bare"] if signature.names.keys() - {"out", "mode"} else ["bare", "functional"]


def _ndims_of(label: str) -> tuple[int, ...]:
    """What the function's name says, else what its module's does."""
    for part in reversed(label.lower().split(":")):
        if found := re.search(r"([123])d(?![a-z])", part):
            return (int(found[1]),)
    return ()


def _as_tuple(ndim: Sequence[int] | int | None) -> tuple[int, ...]:
    wanted = () if ndim is None else (ndim,) if isinstance(ndim, int) else tuple(ndim)
    for value in wanted:
        if value not in (1, 2, 3):
            raise UsageError(f"ndim is {value!r}; convolutions have 1, 2 or 3 spatial axes")
    return wanted
