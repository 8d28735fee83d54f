"""What an engine is: a name, what it supports, and ``apply(map, problem, operands) -> array``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from convcheck.bounds import Numerics, expect, is_exact
from convcheck.dtypes import DTYPES
from convcheck.engines.capabilities import Capabilities
from convcheck.engines.derivatives import Derivatives
from convcheck.engines.modes import Mode, Modes
from convcheck.engines.refusals import raised_at
from convcheck.errors import MisshapenError, TargetRaisedError, UnsupportedError, is_interrupt
from convcheck.layouts import telltale
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["Conv", "Engine", "TooLateError", "first_line"]

Array = np.ndarray[Any, Any]
Apply = Callable[[Map, Problem, Operands], Array]

#: multiply-adds of a call, as of a kernel that a law stuffed with zeros, from which on engines that unroll their input
#: into columns take gigabytes
LARGEST_CALL = 100_000_000


@dataclass(frozen=True)
class Engine:
    """A convolution under test.

    ``apply(map, problem, operands)`` takes NumPy arrays in any layout and returns what the target returned as
    a NumPy array, sharing its memory where that is possible. ``derivatives`` say how it differentiates, and ``modes``
    how else it can be called. Where it ``has_values`` not, shapes and types are all that there is to judge. A
    ``buffered`` one may be given the memory for its result. ``refusals`` are the places at which it raises on what it
    does not take (`convcheck.engines.refusals.raised_at`). ``notes`` are what was inferred, one fact a line, and
    ``facts`` the same in a form from which the engine is made again without asking the target.
    """

    name: str
    capabilities: Capabilities
    apply: Callable[[Map, Problem, Operands], Array]
    derivatives: Derivatives | None = None
    modes: Modes = field(default_factory=dict)
    has_values: bool = True
    buffered: bool = False
    refusals: frozenset[str] = frozenset()
    convention: str = "correlation"
    numerics: Numerics = field(default_factory=Numerics)
    notes: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    facts: Any = None

    def replace(self, **changes: Any) -> Self:
        """Return the engine with some fields changed."""
        return replace(self, **changes)

    def timed(self, timed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Self:
        """Return the engine with every way to call the target passed through a function."""
        derivatives = self.derivatives and self.derivatives.timed(timed)
        modes = {claim: tuple(mode.timed(timed) for mode in found) for claim, found in self.modes.items()}
        return self.replace(apply=timed(self.apply), derivatives=derivatives, modes=modes)


class TooLateError(BaseException):
    """There is no time left in which the target could be called: nobody but who set the limit catches it."""


class Conv:
    """One map of an engine, as a law sees it: ``conv(problem, a, b, bias) -> array``.

    A target whose convention is convolution is presented as the correlation that it becomes by flipping the
    kernel.
    """

    def __init__(self, engine: Engine, which: Map | None = None) -> None:
        self.engine = engine
        self.map = which or engine.capabilities.primary
        self.numerics = engine.numerics

    def __call__(self, problem: Problem, a: Array, b: Array, bias: Array | None = None) -> Array:
        """Call the target.

        Raises
        ------
        UnsupportedError
            If the engine declares, or the target says (by NotImplementedError, or where it refused the plainest such
            problem), that it does not take the problem.
        TargetRaisedError
            If the target raises anything else, or returns what is no array.
        MisshapenError
            If what it returns has another shape than the sizes give.
        """
        problem = problem.replace(bias=False) if bias is None and problem.bias else problem
        return self.shaped(self.unchecked(problem, Operands(a, b, bias)), problem)

    def shaped(self, result: Array, problem: Problem) -> Array:
        """Return a result that has the shape which the sizes give, else raise MisshapenError."""
        expected = problem.shapes[self.map.result]
        if result.shape != expected:
            raise MisshapenError(f"the shape is {result.shape}, not {expected}")
        return result

    def unchecked(self, problem: Problem, operands: Operands) -> Array:
        """Call the target on a problem that it takes; the result may have any shape."""
        self._must_admit(problem)
        return self.attempt(problem, operands)

    def _must_admit(self, problem: Problem) -> None:
        if lacking := self.engine.capabilities.admits(problem):
            raise UnsupportedError(f"{self.engine.name} does not take {lacking}")
        if problem.work > LARGEST_CALL:
            raise UnsupportedError(f"too large for one call: {problem.work:.1e} multiply-adds")

    def slack(
        self, problem: Problem, operands: Operands, *, summed: bool = False, copies: bool = False
    ) -> Array | float:
        """Error that one result may carry: 0 where the operands are certified exact, else the bound of `expect`.

        ``summed`` says that the law adds results up, so that each must be exact in the output's own type too;
        ``copies`` that every result is one product by 1, which no direct engine rounds (but, of complex numbers, one
        that takes the imaginary part from a product of sums).
        """
        is_complex = DTYPES[problem.dtype].kind == "c"
        if copies and not (is_complex or self.numerics.normwise or self.numerics.rounds(problem.dtype)):
            return 0.0
        if is_exact(self.map, problem, operands, self.numerics, stored=summed):
            return 0.0
        return expect(self.map, problem, operands, self.numerics, rounded=not summed).bound

    def stored(self, value: Array, problem: Problem, slack: Array | float) -> Array:
        """Round a law's own exact value to the target's type, where no error is allowed that would hold a rounding."""
        return value if np.any(slack) else value.astype(DTYPES[problem.dtype].numpy)

    def modes(self, claim: str) -> Iterator[Mode]:
        """Modes of which something is claimed, and in which the map can be called."""
        return (mode for mode in self.engine.modes.get(claim, ()) if self.map in mode.maps)

    def within(self, mode: Mode, problem: Problem, operands: Operands) -> Array:
        """Call the target in a mode, on a problem that it takes; the result may have any shape.

        Raises
        ------
        UnsupportedError
            If the engine does not take the problem, the mode does not exist there, or nobody promised that the target
            runs in it, and it does not.
        TargetRaisedError
            If it must run, and raises.
        """
        self._must_admit(problem)
        mode.prepare()
        try:
            return self.attempt(problem, operands, mode.call)
        except TargetRaisedError as error:
            refusal = TargetRaisedError if mode.must else UnsupportedError
            raise refusal(f"{error} ({mode.name})") from error

    def attempt(self, problem: Problem, operands: Operands, call: Apply | None = None) -> Array:
        """Call the target, plainly or otherwise, without asking first whether it takes the problem."""
        _dirty(problem, self.map)
        flipped = self.engine.convention == "convolution"
        given = _flip_weight(self.map, operands) if flipped else operands
        apply = call or self.engine.apply
        result: Array = self.guarded(lambda: apply(self.map, problem, given))
        if np.iscomplexobj(result) and DTYPES[problem.dtype].kind != "c":
            raise TargetRaisedError(f"TypeError: returned complex numbers ({result.dtype}) of {problem.dtype} operands")
        return _flip_spatial(result) if flipped and self.map is Map.GRAD_WEIGHT else result

    def guarded(self, call: Callable[[], Any]) -> Any:
        """Call the target, and tell what it raises as `attempt` does."""
        process = os.getpid()
        try:
            with np.errstate(), warnings.catch_warnings():  # what it sets is not to hold for laws
                return call()
        except NotImplementedError as error:
            raise UnsupportedError(f"{self.engine.name}: {first_line(error) or 'not implemented'}") from error
        except (TooLateError, MisshapenError):
            raise
        except BaseException as error:
            if _device_is_full(error):
                raise UnsupportedError(f"{self.engine.name}: {first_line(error)}") from error
            if _out_of_memory(error):
                when_out_of_memory()
            if is_interrupt(error):
                raise
            if self.engine.refusals and raised_at(error) in self.engine.refusals:
                raise UnsupportedError(f"{self.engine.name}: {first_line(error)}") from error
            raise TargetRaisedError(f"{type(error).__name__}: {first_line(error)}") from error
        finally:
            if os.getpid() != process:
                os._exit(0)  # the target forked, and this is the child: it must not go on judging


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "allocate memory" in first_line(error)


def _device_is_full(error: BaseException) -> bool:
    """Whether an exception is torch's, of a device without room: that says nothing about the target."""
    return any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def when_out_of_memory() -> None:
    """Do nothing: an exception for want of memory is one like any other; a worker puts its own end here."""


def _dirty(problem: Any, which: Map) -> None:
    """Fill memory of the result's size with a telltale and free it: what is never written shows it."""
    if isinstance(problem, Problem):
        number = DTYPES[problem.dtype].numpy
        np.full(problem.shapes[which.result], telltale(number.itemsize), np.float64).astype(number)


def _flip_weight(which: Map, operands: Operands) -> Operands:
    if which is Map.GRAD_WEIGHT:
        return operands
    return operands._replace(b=_flip_spatial(operands.b))


def _flip_spatial(weight: Array) -> Array:
    return np.ascontiguousarray(np.flip(weight, tuple(range(2, weight.ndim))))


def first_line(error: BaseException) -> str:
    """Return what an exception says, in one line that any terminal and any file can hold."""
    try:
        lines = str(error)[:10_000].strip().splitlines()
    except BaseException:  # noqa: BLE001 - a hostile target's exception may refuse to be printed
        return "(an exception that cannot be printed)"
    return "".join(map(_printable, lines[0][:300])) if lines else ""


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()
