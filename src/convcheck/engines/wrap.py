"""Make an engine from a user's function: what it takes is read from its signature and found by tiny probes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convcheck.bounds import Numerics
from convcheck.dtypes import DTYPES
from convcheck.engines.arrays import ArrayKind, as_numpy, kind_named
from convcheck.engines.backward import read_backward
from convcheck.engines.base import Capabilities, Engine
from convcheck.engines.buffers import has_its_turn, poisoned
from convcheck.engines.differentiation import described, found_again, sought
from convcheck.engines.gradients import Derivatives, apply_of
from convcheck.engines.modes import modes_of
from convcheck.engines.modules import Layers, is_layer_class, layers_of
from convcheck.engines.probes import Facts, Prober, Wanted, Watch
from convcheck.engines.signature import Signature, read_signature
from convcheck.errors import UsageError
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["STYLES", "Caller", "wrap"]

Array = np.ndarray[Any, Any]

STYLES = ("functional", "bare", "transposed")
#: autograd adds partial gradients up in the operands' own type, where that is a low-precision one
_LOW = {"f16": "f16", "bf16": "bf16"}


@dataclass(frozen=True)
class Caller:
    """How a function is called: with which arrays, in which style, and each parameter in which form.

    ``forms`` says, by parameter, whether it is given as a ``tuple`` (one entry an axis), an ``int`` (the same for
    every axis) or ``pairs`` ((low, high) an axis), and by which name padding by nothing goes at odd sizes.
    """

    function: Callable[..., Any]
    signature: Signature
    kind: ArrayKind
    style: str
    forms: dict[str, str]

    @property
    def primary(self) -> Map:
        """The map that a call computes: a transposed convolution is the gradient of one by its input."""
        return Map.GRAD_INPUT if self.style == "transposed" else Map.FORWARD

    def __call__(self, problem: Problem, x: Any, w: Any, bias: Any | None, *, buffered: bool = False) -> Any:
        """Call the function on native arrays of the problem's shapes, whatever its style; a native result.

        ``buffered`` calls give it an output buffer also where it needs none.
        """
        defaults = _defaults(problem)
        given: dict[str, Any] = {} if bias is None else {"bias": bias}
        if any(getattr(problem, name) != value for name, value in defaults.items()):
            named = [name for name in (*defaults, "output_padding") if name in self.signature.names]
            given |= {name: self.spell(name, problem) for name in named}
        if buffered or self.signature.buffer == "required":
            out = poisoned(self.primary, problem)
            given["out"] = self.kind.to_native(out[0, 0] if self.style == "bare" else out)
        if self.style == "bare":
            x, w = x[0, 0], w[0, 0]
        args, kwargs = self.signature.arguments(given)
        result: Any = self.function(x, w, *args, **kwargs)
        if result is None and "out" in given:
            result = given["out"]
        return result[None, None] if self.style == "bare" and self.kind.owns(result) else result

    def on_numpy(self, problem: Problem, operands: Operands) -> Array:
        """Call the function on NumPy arrays; a NumPy result."""
        a, b, bias = (None if o is None else self.kind.to_native(o) for o in operands)
        buffered = bool(self.signature.buffer) and has_its_turn(self.primary, problem)
        return as_numpy(self.kind, self(problem, a, b, bias, buffered=buffered))

    def spell(self, name: str, problem: Problem) -> Any:
        """One parameter in the form that the function takes; in turn, where it takes an int and a tuple."""
        value: Any = problem.leftover if name == "output_padding" else getattr(problem, name)
        if name == "groups":
            return value
        if name == "padding" and problem.same:
            return "same"
        if name == "padding" and not any(map(any, value)) and self.forms.get("none") and problem.size[-1] % 2:
            return self.forms["none"]
        form = self.forms.get(name, "tuple")
        if name == "padding" and form != "pairs" and all(low == high for low, high in value):
            value = tuple(low for low, _ in value)
        if form == "either":
            alike = len(set(value)) == 1 and isinstance(value[0], int)  # not a pair of different ends
            form = "int" if alike and problem.size[0] % 2 else "tuple"
        return value[0] if form == "int" else value


def _defaults(problem: Problem) -> dict[str, Any]:
    """Parameters of a plain problem: a function is left to its own defaults there, and told everything elsewhere."""
    ones = (1,) * problem.ndim
    return {"stride": ones, "padding": ((0, 0),) * problem.ndim, "dilation": ones, "groups": 1}


def wrap(  # noqa: PLR0913 - everything that a user may say about a function
    function: Callable[..., Any],
    *,
    name: str | None = None,
    ndim: Sequence[int] | int | None = None,
    array: str | None = None,
    style: str | None = None,
    dtypes: Sequence[str] | None = None,
    device: str = "cpu",
    convention: str = "correlation",
    accuracy: str | None = None,
    accumulator: str | None = None,
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
        ``correlation``, or ``convolution`` where the kernel is meant to be flipped.
    accuracy
        ``componentwise`` or ``normwise`` (Winograd, FFT).
    accumulator
        ``wide`` (float32) or ``narrow`` (the operands' own type), in which sums of float16 and bfloat16 are kept.
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
    label = name or str(getattr(function, "__name__", repr(function)))
    _check_options(style, convention, accuracy, accumulator, dtypes or ())
    layers = None
    if is_layer_class(function):
        layers = layers_of(function, label, _as_tuple(ndim) or _ndims_of(label), style)
        function, array = layers.function(), array or "torch"
    signature = read_signature(function, label)
    backward = None if vjp is None else read_backward(vjp)
    if facts is None:
        prober = Prober(
            label=label,
            caller=lambda kind, style, forms: Caller(function, signature, kind, style, forms),
            kinds=[kind_named(n, device) for n in ([array] if array else _kinds_of(function, device))],
            styles=[style] if style else _styles_of(label, signature),
            ndims=_as_tuple(ndim) or _ndims_of(label),
            signature=signature,
            watch=watch,
        )
        found = prober.run(Wanted(tuple(dtypes or ()), accuracy, accumulator))
        facts = sought(found, _caller(function, signature, found, device), backward, watch)
    caller = _caller(function, signature, facts, device)
    return _engine(label, caller, facts, convention, found_again(facts, caller, backward), layers)


def _caller(function: Callable[..., Any], signature: Signature, facts: Facts, device: str) -> Caller:
    return Caller(function, signature, kind_named(facts.kind, device), facts.style, facts.forms)


def _engine(
    label: str,
    caller: Caller,
    facts: Facts,
    convention: str,
    derivatives: Derivatives | None,
    layers: Layers | None,
) -> Engine:
    primary = caller.primary
    maps = tuple(m for m in Map if m is primary or (derivatives and m.result in derivatives.roles))
    others = layers.others() if layers else {}
    note = ("layer: constructed anew for every call",) if layers else ()
    apply = apply_of(primary, caller.on_numpy, derivatives)
    return Engine(
        name=label,
        capabilities=Capabilities(
            facts.ndims, facts.dtypes, facts.features, maps, facts.work_limit, primary, facts.kernels
        ),
        apply=apply,
        derivatives=derivatives,
        modes=modes_of(caller, apply, differentiable=bool(derivatives and derivatives.accumulate)),
        has_values=caller.kind.has_values,
        buffered=bool(caller.signature.buffer),
        convention=convention,
        numerics=_numerics(facts.numerics, primary, low=_LOW if derivatives else {}),
        layer={name: replace(caller, function=other).on_numpy for name, other in others.items()},
        notes=(*note, *facts.notes, f"gradients: {described(derivatives)}"),
        versions=(caller.kind.version(),),
        facts=facts,
    )


def _numerics(own: Numerics, primary: Map, low: Mapping[str, str]) -> Numerics:
    """Return the numerics with accumulators for all maps: the target's own for the primary one, low for the others."""
    if primary is Map.FORWARD:
        return replace(own, gradient_accumulators=low)
    return replace(own, accumulators=low, gradient_accumulators=own.accumulators)


def _check_options(
    style: str | None, convention: str, accuracy: str | None, accumulator: str | None, dtypes: Sequence[str]
) -> None:
    for what, value, known in (
        ("style", style, STYLES),
        ("convention", convention, ("correlation", "convolution")),
        ("accuracy", accuracy, ("componentwise", "normwise")),
        ("accumulator", accumulator, ("wide", "narrow")),
        *(("dtype", name, tuple(DTYPES)) for name in dtypes),
    ):
        if value is not None and value not in known:
            raise UsageError(f"no {what} is called {value!r}; there are {', '.join(known)}")


def _kinds_of(function: Callable[..., Any], device: str) -> list[str]:
    """Array kinds worth trying, likeliest first: by annotations, by module, by what the module uses."""
    if device != "cpu":
        return ["torch"]
    hints = " ".join(map(str, getattr(function, "__annotations__", {}).values()))
    home = str(getattr(function, "__module__", "") or "")
    for name in ("torch", "jax"):
        if name in hints.lower() or home.partition(".")[0] in (name, f"_{name}") or "torch._C" in repr(function):
            return [name]
    if "ndarray" in hints or "numpy" in hints:
        return ["numpy"]
    used = [n for n in ("torch", "jax") if n in sys.modules and _uses(function, n)]
    return ["numpy", *used] if _uses(function, "numpy") or not used else [*used, "numpy"]


def _uses(function: Callable[..., Any], library: str) -> bool:
    """Whether the function's module holds the library, or something from it, under any name."""
    for value in list(getattr(function, "__globals__", {}).values()):
        module = getattr(value, "__name__", "") if isinstance(value, type(sys)) else getattr(value, "__module__", "")
        if str(module).split(".")[0] == library:
            return True
    return False


def _styles_of(label: str, signature: Signature) -> list[str]:
    if "output_padding" in signature.names or "transpose" in label.lower():
        return ["transposed"]
    return ["functional", "bare"] if signature.names.keys() - {"out"} else ["bare", "functional"]


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
