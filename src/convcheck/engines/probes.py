"""Tiny calls that find out what a function takes: arrays, style, axes, parameter forms, dtypes, arithmetic, speed."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from convcheck.bounds import Numerics
from convcheck.dtypes import DTYPES
from convcheck.engines.arithmetic import is_normwise, sums_narrowly
from convcheck.engines.arrays import ArrayKind
from convcheck.engines.signature import Signature
from convcheck.errors import is_interrupt
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["Facts", "Prober", "Wanted", "Watch"]

Array = np.ndarray[Any, Any]

#: what kernels are tried, all the same but for the axes; the input is larger by so much
KERNELS, MORE = ((2, 3, 2), (3, 3, 3), (1, 1, 1), (5, 5, 5)), (3, 3, 2)
#: multiply-adds a problem may have, by the seconds that 20,000 of them took: (seconds, limit)
SPEEDS = ((0.001, 1_000_000), (0.005, 100_000), (0.05, 5_000), (float("inf"), 1_000))


@dataclass(frozen=True)
class Facts:
    """What the probes found, as plain values that cross processes.

    ``kind``, ``style`` and ``forms`` say how the target is called, ``problem`` is one that it takes, ``gradients`` are
    the roles by which it has derivatives, ``twice`` says whether these have some, and ``notes`` tell the user.
    """

    kind: str
    style: str
    forms: dict[str, str]
    problem: Problem
    ndims: tuple[int, ...]
    dtypes: tuple[str, ...]
    features: frozenset[str]
    numerics: Numerics
    work_limit: int
    notes: tuple[str, ...]
    kernels: tuple[int, ...] = ()
    gradients: tuple[str, ...] = ()
    twice: bool = False


@dataclass(frozen=True)
class Watch:
    """Who watches the probes: each is announced before the target is called, and those that killed it are left out."""

    announce: Callable[[str], None] = lambda _: None
    avoid: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """What the user declares instead of leaving it to the probes; empty or None where nothing is declared."""

    dtypes: tuple[str, ...] = ()
    accuracy: str | None = None
    accumulator: str | None = None


@dataclass
class Prober:
    """Candidates for how the target may be called; `run` settles each by the first that works."""

    label: str
    caller: Callable[[ArrayKind, str, dict[str, str]], Any]
    kinds: list[ArrayKind]
    styles: list[str]
    ndims: tuple[int, ...]
    signature: Signature
    watch: Watch = field(default_factory=Watch)
    notes: list[str] = field(default_factory=list)

    def run(self, wanted: Wanted) -> Facts:
        """Settle everything, in the order in which each step needs the one before."""
        caller, problem, ndims = self._settle_call()
        self.notes += [
            f"arrays: {caller.kind.name}",
            f"style: {caller.style}",
            f"spatial axes: {', '.join(map(str, ndims))}",
        ]
        features = self._settle_features(caller, problem)
        kernels = self._settle_kernels(caller, problem)
        kept = wanted.dtypes or self._settle_dtypes(caller, problem, ndims)
        self.notes.append("parameters: " + (", ".join(sorted(features)) or "none"))
        if self.signature.buffer:
            given = "always" if self.signature.buffer == "required" else "for every second size of the result"
            self.notes.append(f"output buffer: poisoned, given {given}")
        numerics = self._settle_numerics(caller, problem, kept, features, wanted)
        if numerics.normwise and not wanted.dtypes:
            kept = tuple(d for d in kept if DTYPES[d].kind == "f")
            self.notes.append("integers are not judged where results carry rounding errors")
        limit = self._settle_speed(caller, problem)
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
        )

    def _call(self, caller: Any, problem: Problem, operands: Operands | None = None) -> Array | None:
        """Return the result, or None where the target raises or returns what is no array of its kind."""
        try:
            return self._attempt(caller, problem, operands)
        except BaseException as error:  # a probe asks; any answer but an array is a no
            if is_interrupt(error):
                raise
            return None

    def _attempt(self, caller: Any, problem: Problem, operands: Operands | None) -> Array:
        given = operands or _operands(caller.primary, problem)
        probe = f"{caller.kind.name} {caller.style} {problem}"
        if probe in self.watch.avoid:
            raise TypeError("the target died of this probe")
        self.watch.announce(probe)
        native = [None if o is None else caller.kind.to_native(o) for o in given]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = caller(problem, *native)
        if not caller.kind.owns(result):
            raise TypeError(f"returned a {type(result).__name__}")
        array: Array = caller.kind.to_numpy(result)
        return array

    def _refuses(self, caller: Any, problem: Problem) -> bool:
        try:
            self._attempt(caller, problem, None)
        except NotImplementedError:
            return True
        except BaseException as error:  # any other exception is for the laws to judge
            if is_interrupt(error):
                raise
            return False
        return False

    # -- how it is called ----------------------------------------------------------------------------

    def _settle_call(self) -> tuple[Any, Problem, tuple[int, ...]]:
        """Array kind, style and spatial axes: the first candidates under which the shape comes out right."""
        wrong_shape = None
        # several axes before one: only they tell whether parameters may differ from axis to axis
        ndims = [n for n in (2, 3, 1) if n in self.ndims] or [2, 1, 3]
        trials = product(KERNELS, self.kinds, self.styles, ndims, ("f32", "f64", "i64"))
        for kernel, kind, style, ndim, dtype in trials:
            problem = _plain(kernel, ndim, dtype)
            caller = self.caller(kind, style, {})
            result = self._call(caller, problem)
            if result is not None and result.shape == problem.shapes[caller.primary.result]:
                return caller, problem, self.ndims or self._other_ndims(caller, problem)
            if result is not None and wrong_shape is None and result.ndim == problem.ndim + 2:
                wrong_shape = caller, problem
        if wrong_shape is None:
            wrong_shape = self.caller(self.kinds[0], self.styles[0], {}), _plain(KERNELS[0], ndims[0])
            self.notes.append("no probe came back with an array: judged as called below")
        return *wrong_shape, self.ndims or (wrong_shape[1].ndim,)

    def _other_ndims(self, caller: Any, problem: Problem) -> tuple[int, ...]:
        return tuple(n for n in (1, 2, 3) if self._takes(caller, _on_axes(problem, n)))

    # -- which parameters, in which form ---------------------------------------------------------------

    def _settle_features(self, caller: Any, problem: Problem) -> frozenset[str]:
        named = self.signature.names
        features: set[str] = {name for name in ("stride", "padding", "dilation") if name in named}
        for name in sorted(features):
            features |= self._settle_form(caller, problem, name)
        if "output_padding" in named:  # takes what the stride takes
            caller.forms["output_padding"] = caller.forms.get("stride", "tuple")
        if caller.style != "bare":
            features |= {"batch", "channels"}
            features |= {name for name in ("groups", "bias") if name in named}
            features |= {"output-padding"} & {name.replace("_", "-") for name in named}
        elif "bias" in named and self._takes(caller, problem.replace(bias=True)):
            features.add("bias")
        if "padding" in features and caller.primary is Map.FORWARD:
            features |= {"same-padding"} if self._takes(caller, _same(problem)) else set()
            self._settle_valid(caller, problem)
        return frozenset(features - self._refused(caller, problem, features))

    def _settle_valid(self, caller: Any, problem: Problem) -> None:
        """Whether padding by nothing has a name: "valid"."""
        steps = [name for name in ("stride", "dilation") if name in self.signature.names]
        if not steps:  # it is left to its own defaults where no parameter differs from them
            return
        sample = problem.replace(size=(7,) * problem.ndim, **{steps[0]: (2,) * problem.ndim})
        caller.forms["none"] = "valid"
        if not self._takes(caller, sample):
            del caller.forms["none"]

    def _takes(self, caller: Any, problem: Problem) -> bool:
        """Whether a result of the right shape comes back."""
        result = self._call(caller, problem)
        return result is not None and result.shape == problem.shapes[caller.primary.result]

    def _settle_form(self, caller: Any, problem: Problem, name: str) -> set[str]:
        """Try a parameter as an int, as a tuple with one entry an axis, and as (low, high) pairs an axis."""
        trial = {"stride": (2,), "padding": ((1, 1),), "dilation": (2,)}[name]
        sample = problem.replace(size=tuple(s + 3 for s in problem.size), **{name: trial * problem.ndim})
        sample = sample.replace(size=tuple(s - rest for s, rest in zip(sample.size, sample.leftover, strict=True)))
        works = []
        for form in ("int", "tuple", *(("pairs",) if name == "padding" else ())):
            caller.forms[name] = form
            if self._takes(caller, sample):
                works.append(form)
        if {"int", "tuple"} <= set(works):
            caller.forms[name] = "either"
        else:
            caller.forms[name] = next((form for form in ("tuple", "pairs", "int") if form in works), "tuple")
        found = {f"unequal-{name}"} if caller.forms[name] != "int" and problem.ndim > 1 else set()
        return found | ({"two-sided-padding"} if "pairs" in works else set())

    def _refused(self, caller: Any, problem: Problem, features: set[str]) -> set[str]:
        """Features on which the target raises NotImplementedError."""
        ndim = problem.ndim
        changes: dict[str, dict[str, Any]] = {
            "batch": {"batch": 2},
            "channels": {"channels": 2, "filters": 2},
            "groups": {"channels": 2, "filters": 2, "groups": 2},
            "bias": {"bias": True},
            "stride": {"stride": (2,) * ndim},
            "padding": {"padding": ((1, 1),) * ndim},
            "dilation": {"dilation": (2,) * ndim, "size": (9,) * ndim},
        }
        refused = {n for n in features & set(changes) if self._refuses(caller, problem.replace(**changes[n]))}
        return refused | {f for f in features if f.split("-")[-1] in refused}

    def _settle_kernels(self, caller: Any, problem: Problem) -> tuple[int, ...]:
        """Sizes of a kernel that are left where others raise NotImplementedError; empty where none does."""
        squares = {k: problem.replace(size=(9,) * problem.ndim, kernel=(k,) * problem.ndim) for k in (1, 2, 3, 5)}
        taken = tuple(k for k, square in squares.items() if not self._refuses(caller, square))
        if not 0 < len(taken) < len(squares):
            return ()
        self.notes.append(f"kernels: {', '.join(map(str, taken))} along every axis")
        return taken

    # -- which arithmetic ------------------------------------------------------------------------------

    def _settle_dtypes(self, caller: Any, problem: Problem, ndims: tuple[int, ...]) -> tuple[str, ...]:
        """Dtypes that the target takes on all axes; a low-precision or integer one only where it comes back as itself.

        float32 and float64 (and, on torch, every float) belong to the contract of a convolution: a target
        that takes them and returns another type is judged, and found out by shape-dtype-kept.
        """
        kept, promoted = [], []
        strict = ("f64", "f32", "f16", "bf16") if caller.kind.name == "torch" else ("f64", "f32")
        for dtype in ("f32", "f64", "f16", "bf16", "i64", "i32", "i16", "i8", "u8"):
            found = [
                y for n in ndims if (y := self._call(caller, _on_axes(problem, n).replace(dtype=dtype))) is not None
            ]
            if len(found) < len(ndims):
                continue
            others = [str(y.dtype) for y in found if y.dtype != DTYPES[dtype].numpy]
            if not others or dtype in strict:
                kept.append(dtype)
            else:
                promoted.append(f"{dtype} (comes back as {others[0]})")
        self.notes.append("dtypes: " + ", ".join(kept))
        if promoted:
            self.notes.append("dtypes not judged: " + ", ".join(promoted))
        return tuple(kept) or (problem.dtype,)

    def _settle_numerics(
        self, caller: Any, problem: Problem, dtypes: tuple[str, ...], features: frozenset[str], wanted: Wanted
    ) -> Numerics:
        def call(case: Problem, operands: Operands) -> Array | None:
            return self._call(caller, case, operands)

        if not caller.kind.has_values:
            self.notes.append(f"values: none on the device {caller.kind.device}; only shapes and types are judged")
            return Numerics()
        channels = "channels" in features
        low = [d for d in ("f16", "bf16") if d in dtypes]
        narrow: dict[str, str] = {d: d for d in low if self._is_narrow(caller, problem, d, channels, wanted)}
        if 0 < len(narrow) < len(low):  # no arithmetic of arrays does one without the other: a mistake in one of them
            self.notes.append(f"accumulator: float32, though {', '.join(narrow)} alone is summed in its own type")
            narrow = {}
        elif narrow:
            self.notes.append(
                f"accumulator: that of the operands in {', '.join(narrow)} (accumulator wide asks for float32)"
            )
        normwise = wanted.accuracy == "normwise"
        if wanted.accuracy is None and is_normwise(call, caller.primary, problem, dtypes, channels=channels):
            self.notes.append(
                "accuracy: normwise, since integers come back with rounding errors, as FFT and Winograd leave them"
            )
            normwise = True
        else:
            self.notes.append(f"accuracy: {wanted.accuracy or 'componentwise'}")
        return Numerics(accumulators=narrow, normwise=normwise)

    def _is_narrow(self, caller: Any, problem: Problem, dtype: str, channels: bool, wanted: Wanted) -> bool:  # noqa: FBT001
        """Whether sums are rounded to a low-precision type as they go, which the arithmetic of arrays does.

        A compiled operator, which has its own accumulator, is held to float32 unless it is declared narrow.
        """
        if wanted.accumulator or caller.primary is not Map.FORWARD:  # transposed ones scatter, in their own type
            return wanted.accumulator != "wide"
        return (
            inspect.isroutine(caller.function)
            and hasattr(caller.function, "__code__")
            and sums_narrowly(
                lambda case, operands: self._call(caller, case, operands), problem, dtype, channels=channels
            )
        )

    def _settle_speed(self, caller: Any, problem: Problem) -> int:
        kernel = {1: (4,), 2: (2, 2), 3: (2, 2, 1)}[problem.ndim]
        few = {1: (253,), 2: (26, 11), 3: (6, 6, 10)}[problem.ndim]
        many = {1: (5003,), 2: (51, 101), 3: (11, 11, 50)}[problem.ndim]
        seconds = 0.0
        for size in (few, many):  # a target that is slow on 1,000 multiply-adds isn't kept busy with 20,000
            sample = problem.replace(size=size, kernel=kernel)
            if seconds <= SPEEDS[-2][0]:
                seconds = min(self._seconds(caller, sample) for _ in range(4))
        limit = next(limit for bound, limit in SPEEDS if seconds <= bound)
        if limit < SPEEDS[0][1]:
            self.notes.append(f"slow target: problems are kept below {limit} multiply-adds")
        return limit

    def _seconds(self, caller: Any, problem: Problem) -> float:
        operands = _operands(caller.primary, problem)
        start, spent = time.perf_counter(), time.process_time()
        self._call(caller, problem, operands)
        # other processes must not make a target look slow, nor many threads that work at once
        return min(time.perf_counter() - start, time.process_time() - spent)


def _plain(kernel: tuple[int, ...], ndim: int, dtype: str = "f32") -> Problem:
    size = tuple(k + more for k, more in zip(kernel, MORE, strict=True))
    return Problem(size=size[:ndim], kernel=kernel[:ndim], dtype=dtype)


def _on_axes(problem: Problem, ndim: int) -> Problem:
    """Return the plain problem of the same kernel and dtype on another number of axes."""
    kernel = next(kernel for kernel in KERNELS if kernel[: problem.ndim] == problem.kernel)
    return _plain(kernel, ndim, problem.dtype)


def _same(problem: Problem) -> Problem:
    total = [r - 1 for r in problem.reach]
    return problem.replace(padding=tuple((t // 2, t - t // 2) for t in total), same=True)


def _operands(which: Map, problem: Problem) -> Operands:
    a, b = (make(problem, role, Fill("dense", 3)) for role in which.roles)
    return Operands(a, b, make(problem, which.bias, Fill("dense", 3)) if problem.bias else None)
