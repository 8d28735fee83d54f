"""Settle, one after another, how a target is called, what it takes, and what may be asked of its results."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import product

from convcheck.dtypes import DTYPES
from convcheck.engines.arrays import ArrayKind
from convcheck.engines.caller import Caller
from convcheck.engines.facts import Facts, Wanted, Watch
from convcheck.engines.probes.arithmetic import settle_numerics
from convcheck.engines.probes.asking import KERNELS, Asking, on_axes, plain
from convcheck.engines.probes.limits import (
    inherits_flaws,
    settle_dtypes,
    settle_kernels,
    settle_refusals,
    settle_work,
)
from convcheck.engines.probes.parameters import settle_parameters, settle_together
from convcheck.engines.torch_flaws import WithoutOneDNN
from convcheck.problem import Problem

__all__ = ["Prober"]

#: channels and filters of functions that don't take one: whatever is taken first comes in multiples
_COUNTS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 4), (4, 1), (4, 4), (8, 1), (8, 8), (16, 16), (32, 32))
#: of functions that take one element type alone
_RARE_DTYPES = ("f16", "bf16", "i32", "i16", "i8", "u8", "complex64", "complex128")


@dataclass
class Prober:
    """Candidates for how the target may be called; `run` settles each by the first that works.

    ``ndims`` are declared, and ``flips``: that the target is a convolution; ``hints`` are what a name says, which holds
    where an array comes back at all. One that is called a convolution ``may_flip``.
    """

    caller: Callable[[ArrayKind, str], Caller]
    kinds: list[ArrayKind]
    styles: list[str]
    ndims: tuple[int, ...]
    watch: Watch
    hints: tuple[int, ...] = ()
    flips: bool = False
    may_flip: bool = False
    notes: list[str] = field(default_factory=list)

    def run(self, wanted: Wanted) -> Facts:
        """Settle everything, in the order in which each step needs the one before."""
        asking, problem, ndims = self._settle_call()
        self._tell_of_call(asking.caller, problem, ndims)
        asking = self._settle_convention(asking, problem)
        asking, features = settle_parameters(asking, problem)
        inherits = inherits_flaws(asking, problem)
        kernels = settle_kernels(asking, problem, self.notes)
        kept = wanted.dtypes or settle_dtypes(asking, problem, ndims, self.notes)
        if inherits:
            self.notes.append("torch's convolution, which it calls: without oneDNN, whose flaws are its own")
        self.notes.append("parameters: " + (", ".join(sorted(features)) or "none"))
        caller = asking.caller
        signature = caller.signature
        if "mode" in signature.names:
            self.notes.append("mode: valid")
        if signature.unknown:
            self.notes.append(f"left at their defaults: {', '.join(signature.unknown)}")
        if buffer := signature.buffer:
            given = "always" if buffer == "required" else "for every second size of the result"
            self.notes.append(f"output buffer: poisoned, given {given}")
        with WithoutOneDNN() if inherits else nullcontext():  # as it will be judged
            numerics = settle_numerics(asking, problem, kept, wanted, self.notes, channels="channels" in features)
        if numerics.normwise and not wanted.dtypes:
            kept = tuple(d for d in kept if DTYPES[d].kind != "c")
            self.notes.append("integers must be exact where rounding errors may not reach 1/2")
        refusals = settle_refusals(asking, problem, self.notes)
        limit = settle_work(asking, problem, self.notes)
        return Facts(
            kind=caller.kind.name,
            style=caller.style,
            forms=caller.forms,
            problem=problem,
            ndims=ndims,
            dtypes=kept,
            features=features,
            numerics=numerics,
            work_limit=limit,
            notes=tuple(self.notes),
            kernels=kernels,
            inherits=inherits,
            convention="convolution" if asking.flips else "correlation",
            refusals=refusals,
        )

    def _tell_of_call(self, caller: Caller, problem: Problem, ndims: tuple[int, ...]) -> None:
        self.notes += [
            f"arrays: {caller.kind.name}",
            f"style: {caller.style}",
            f"spatial axes: {', '.join(map(str, ndims))}",
        ]
        if caller.signature.kernel_first:
            self.notes.append("order: the kernel first, as the arguments are named")
        if problem.channels * problem.filters > 1:
            self.notes.append(f"counts: channels in multiples of {problem.channels}, filters of {problem.filters}")
        if caller.forms.get("result") == "first":
            self.notes.append("result: the first of a tuple")
        if caller.forms.get("images") == "alone":
            self.notes.append("images: one at a time, without a batch")

    def _settle_convention(self, asking: Asking, problem: Problem) -> Asking:
        """Flip the kernel for a target that is called a convolution, if it is one, and no correlation."""
        flipping = replace(asking, flips=True)
        if not self.may_flip or asking.answers(problem) or not flipping.answers(problem):
            return asking
        self.notes.append("convention: convolution, as it is called (convention correlation asks for the other)")
        return flipping

    def _settle_call(self) -> tuple[Asking, Problem, tuple[int, ...]]:
        """Array kind, style and spatial axes: the first candidates under which the shape comes out right."""
        wanted = self.ndims or self.hints
        found = self._first_called(wanted) or (None if self.ndims or not self.hints else self._first_called(()))
        found = found or self._first_told(wanted) or self._first_alone(wanted)
        if found is None:
            ndim = (wanted or (2,))[0]
            asking, problem = self._asking(self.kinds[0], self.styles[0]), plain(KERNELS[0], ndim, "f32")
            shapes = [
                problem.shapes[role][2 * (asking.caller.style == "bare") :] for role in asking.caller.primary.roles
            ]
            met = f"{shapes[0]} and {shapes[1]}, as below, met {asking.complaint(problem)}"
            self.notes.append(f"no probe came back with an array: arrays of {met}")
            return asking, problem, wanted or (ndim,)
        return found

    def _first_called(self, wanted: tuple[int, ...]) -> tuple[Asking, Problem, tuple[int, ...]] | None:
        """The first way to call, on the axes wanted, that gives the right shape, else any array; else None."""
        wrong_shape = None
        # several axes before one: only they tell whether parameters may differ from axis to axis
        ndims = [n for n in (2, 3, 1) if n in wanted] or [2, 1, 3]
        usual, styles = ("f32", "f64", "i64"), self.styles
        alone, counts = ((1, 1),), [c for c in _COUNTS if "functional" in styles]
        likely = product(alone, ("whole",), self.kinds, styles, usual)
        others = product(alone, ("whole",), self.kinds, styles, _RARE_DTYPES)
        tuples = product(alone, ("first",), self.kinds, styles, usual)
        several = product(counts, ("whole",), self.kinds, ("functional",), (*usual, "f16", "i8"))
        # a kernel of one tap is also taken on axes on which no other is: the first, of unequal sizes, tells most
        ways = tuple(product((KERNELS[:1], KERNELS[1:]), ndims))
        for (count, form, kind, style, dtype), (kernels, ndim) in product((*likely, *others, *tuples, *several), ways):
            if wrong_shape is not None and count not in alone:
                break
            asking = self._asking(kind, style).spelling(result=form)
            # a kernel that is refused tells nothing of the others; one that is answered tells of the style
            answers = ((problem, asking.call(problem)) for problem in (plain(k, ndim, dtype, *count) for k in kernels))
            problem, result = next(((p, y) for p, y in answers if y is not None), (None, None))
            if problem is None or result is None:
                continue
            if result.shape == problem.shapes[asking.caller.primary.result]:
                return asking, problem, wanted or self._axes(asking, problem)
            if wrong_shape is None and result.ndim == problem.ndim + 2:
                wrong_shape = asking, problem, wanted or (problem.ndim,)
        return wrong_shape

    def _first_told(self, wanted: tuple[int, ...]) -> tuple[Asking, Problem, tuple[int, ...]] | None:
        """The first way to call a function that must be told its parameters, in whichever form it takes them."""
        ndims = [n for n in (2, 3, 1) if n in wanted] or [2, 1, 3]
        for kind, style, ndim, kernel, count in product(self.kinds, self.styles, ndims, KERNELS, ((1, 1), *_COUNTS)):
            asking, problem = self._asking(kind, style), plain(kernel, ndim, "f32", *count)
            if not asking.caller.signature.told or (count != (1, 1) and style != "functional"):
                continue
            asking = settle_together(asking, problem)
            if asking.takes(problem):
                return asking, problem, wanted or self._axes(asking, problem)
        return None

    def _first_alone(self, wanted: tuple[int, ...]) -> tuple[Asking, Problem, tuple[int, ...]] | None:
        """The first way to call a function of one image of channels, which has no axis for several."""
        ndims = [n for n in (2, 3, 1) if n in wanted] or [2, 1, 3]
        for kind, ndim, kernel in product(self.kinds if "functional" in self.styles else (), ndims, KERNELS):
            asking = self._asking(kind, "functional").spelling(images="alone")
            if asking.takes(plain(kernel, ndim, "f32", 2, 3)):
                problem = plain(kernel, ndim, "f32")
                return asking, problem, wanted or self._axes(asking, problem)
        return None

    @staticmethod
    def _axes(asking: Asking, problem: Problem) -> tuple[int, ...]:
        """Numbers of spatial axes that are taken; at least those of a problem that has been."""
        return tuple(n for n in (1, 2, 3) if n == problem.ndim or asking.takes(on_axes(problem, n)))

    def _asking(self, kind: ArrayKind, style: str) -> Asking:
        return Asking(self.caller(kind, style), self.watch, self.flips)
