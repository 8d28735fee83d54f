"""The modes of torch targets: with and without gradients, other flags, other tensors, compiled, mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from convcheck.engines import torch_state
from convcheck.engines.arrays import as_numpy, kind_named
from convcheck.engines.caller import Caller
from convcheck.engines.modes import Mode, Modes
from convcheck.engines.operators import is_custom, is_operator
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import taps

__all__ = ["modes_of"]

Array = np.ndarray[Any, Any]
Apply = Callable[[Map, Problem, Operands], Array]
Context = Callable[[], AbstractContextManager[Any]]
Change = Callable[[Any], Any]


def modes_of(caller: Caller, apply: Apply, *, differentiable: bool, mkldnn: bool) -> Modes:
    """Return the modes of a caller, by what is claimed of them; none where it takes no torch tensors.

    ``apply`` calls it plainly. Where it is ``differentiable``, it must run with and without gradients.
    ``mkldnn`` says that plain calls may use it.
    """
    if caller.kind.name != "torch" or not caller.kind.has_values:
        return {}
    return _Torch(caller, apply, differentiable, mkldnn).modes()


@dataclass(frozen=True)
class _Torch:
    caller: Caller
    apply: Apply
    differentiable: bool
    mkldnn: bool

    def modes(self) -> Modes:
        import torch

        device = torch.device(self.caller.kind.device).type
        values = (*self.by_gradients(), *self.by_flags(device), *self.by_layouts(), *self.mapped())
        found: dict[str, tuple[Mode, ...]] = {
            "values": values if device == "cpu" else (*values, self.on_the_cpu()),
            "threads": tuple(self.within(f"with {n} threads", partial(torch_state.threads, n)) for n in (1, 2)),
            "autocast": (self.autocast(device),),
            "compiled": (self.compiled(),),
        }
        if is_operator(self.caller.function):  # others may look at values or addresses, or keep what they were given
            found |= {"meta": (self.on_meta(),), "fake": (self.of_fakes(),)}
        if is_custom(self.caller.function):
            found["opcheck"] = (self.opcheck(),)
        return found

    # -- ways to make a mode ---------------------------------------------------------------------------

    def within(self, name: str, context: Context, *, own: bool = False, must: bool = True) -> Mode:
        """Call inside a context; ``own`` is for the target's own call, not for its derivatives."""

        def call(which: Map, problem: Problem, operands: Operands) -> Array:
            with context():
                return self.apply(which, problem, operands)

        return Mode(name, call, (self.caller.primary,) if own else tuple(Map), must)

    def of(self, name: str, call: Callable[[Problem, Any], Array], *, must: bool = True) -> Mode:
        """Call with tensors, which ``call`` may change before."""
        native = self.caller.kind.to_native

        def of_operands(_: Map, problem: Problem, operands: Operands) -> Array:
            return call(problem, [None if o is None else native(o) for o in operands])

        return Mode(name, of_operands, (self.caller.primary,), must)

    def changed(self, change: Change, problem: Problem, tensors: Any) -> Array:
        return as_numpy(self.caller.kind, self.caller(problem, *change(tensors)))

    # -- the modes ---------------------------------------------------------------------------------------

    def by_gradients(self) -> Iterator[Mode]:
        import torch

        yield self.within("under no_grad", torch.no_grad, own=True, must=self.differentiable)
        yield self.within("under inference_mode", torch.inference_mode, own=True, must=self.differentiable)
        for index, operand in enumerate(("the first operand", "the second operand", "the bias")):
            call = partial(self.changed, partial(torch_state.requiring_grad, index))
            yield self.of(f"where {operand} requires a gradient", call, must=self.differentiable)
        call = partial(self.changed, torch_state.with_parameter)
        yield self.of("where the second operand is a parameter", call, must=False)

    def by_flags(self, device: str) -> Iterator[Mode]:
        yield self.within("with deterministic algorithms", torch_state.deterministic)
        yield self.with_float64_by_default()
        if device == "cpu" and self.mkldnn:
            yield self.within("without mkldnn", torch_state.without_mkldnn)
        for benchmark, repeatable in ((False, True), (True, False), (True, True)) if device == "cuda" else ():
            name = f"with cudnn.benchmark={benchmark} and cudnn.deterministic={repeatable}"
            yield self.within(name, partial(torch_state.cudnn, benchmark=benchmark, deterministic=repeatable))

    def with_float64_by_default(self) -> Mode:
        """What a target makes of that dtype may return so: values are compared, in the dtype of the operands."""

        def call(which: Map, problem: Problem, operands: Operands) -> Array:
            with torch_state.float64_by_default():
                return self.apply(which, problem, operands).astype(operands.a.dtype)

        return Mode("with float64 as the default dtype", call, (self.caller.primary,), must=False)

    def by_layouts(self) -> Iterator[Mode]:
        yield self.of("of channels_last tensors", self.channels_last)
        yield self.of("of tensors that start inside their storage", partial(self.changed, torch_state.with_offset))

    def channels_last(self, problem: Problem, tensors: Any) -> Array:
        if _meets_padding_alone(problem):  # oneDNN's own: conv2d of torch 2.13 dies of it (examples/found)
            raise NotImplementedError("torch crashes in channels_last where all that is read along an axis is padding")
        return self.changed(torch_state.channels_last, problem, tensors)

    def autocast(self, device: str) -> Mode:
        import torch

        context = partial(torch.autocast, device, torch.bfloat16)
        return self.within("under autocast to bfloat16", context, own=True, must=False)

    def mapped(self) -> Iterator[Mode]:
        import torch

        def over_the_batch(problem: Problem, tensors: Any) -> Array:
            x, w, bias = tensors
            one = problem.replace(batch=1)
            each = torch.func.vmap(lambda image: self.caller(one, image[None], w, bias)[0])
            return as_numpy(self.caller.kind, each(x))

        def over_kernels(problem: Problem, tensors: Any) -> Array:
            x, w, bias = tensors
            each = torch.func.vmap(lambda kernel: self.caller(problem, x, kernel, bias))
            return as_numpy(self.caller.kind, each(torch.stack([w.flip(tuple(range(w.ndim))), w]))[1])

        yield self.of("under vmap over the batch", over_the_batch, must=False)
        yield self.of("under vmap over kernels", over_kernels, must=False)

    def on_the_cpu(self) -> Mode:
        there = replace(self, caller=replace(self.caller, kind=kind_named("torch")))
        return there.of("on the CPU", partial(there.changed, list), must=False)

    def on_meta(self) -> Mode:
        def call(problem: Problem, tensors: Any) -> Array:
            return _shadow(self.caller(problem, *(None if t is None else t.to("meta") for t in tensors)))

        return self.of("on the meta device", call)

    def of_fakes(self) -> Mode:
        def call(problem: Problem, tensors: Any) -> Array:
            from torch._subclasses.fake_tensor import FakeTensorMode

            with FakeTensorMode() as mode:
                result = self.caller(problem, *(None if t is None else mode.from_tensor(t) for t in tensors))
            return _shadow(result)

        return self.of("of fake tensors", call)

    def compiled(self) -> Mode:
        made: list[Any] = []  # compiled once, when it is first asked for

        def call(problem: Problem, tensors: Any) -> Array:
            import torch

            if not made:
                made.append(replace(self.caller, function=torch.compile(self.caller.function, dynamic=True)))
            return as_numpy(self.caller.kind, made[0](problem, *tensors))

        return replace(self.of("compiled", call, must=False), prepare=_import_compiler)

    def opcheck(self) -> Mode:
        import torch

        operator: Any = self.caller.function

        def check(*arguments: Any, **named: Any) -> None:
            torch.library.opcheck(operator, arguments, named)

        def call(problem: Problem, tensors: Any) -> Array:
            for tensor in tensors:
                if tensor is not None and self.differentiable and tensor.is_floating_point():
                    tensor.requires_grad_()
            replace(self.caller, function=check)(problem, *tensors)
            return np.array([True])

        return replace(self.of("under torch.library.opcheck", call), prepare=_import_compiler)


def _shadow(result: Any) -> Array:
    """Return zeros of the shape, dtype and strides of a tensor that has no values."""
    import torch

    if not isinstance(result, torch.Tensor):
        raise TypeError(f"returned a {type(result).__name__} instead of a tensor")
    return kind_named("torch").to_numpy(torch.empty_strided(result.shape, result.stride(), dtype=result.dtype).zero_())


def _import_compiler() -> None:
    """Import torch's compiler, which takes seconds; from then on the clock of a worker knows when it compiles."""
    import torch._dynamo  # noqa: F401


def _meets_padding_alone(problem: Problem) -> bool:
    """Whether no tap of any output lies inside the input along some axis."""
    outputs = [out for _, out in taps(problem)]
    return any(all(out[axis].start == out[axis].stop for out in outputs) for axis in range(problem.ndim))
