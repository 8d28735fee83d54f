"""How far a target goes: which dtypes, which sizes of a kernel, and how much work in the time there is."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.engines import torch_flaws, torch_state
from convcheck.engines.probes.asking import KERNELS, Asking, on_axes, plain, plain_operands
from convcheck.errors import UsageError
from convcheck.operands import Operands
from convcheck.problem import Problem
from convcheck.reference.maps import contract

__all__ = ["inherits_flaws", "settle_dtypes", "settle_kernels", "settle_refusals", "settle_work"]

#: multiply-adds a problem may have, by the seconds that 20,000 of them took: (seconds, limit)
_SPEEDS = ((0.001, 1_000_000), (0.005, 100_000), (0.05, 5_000), (float("inf"), 1_000))


def settle_dtypes(asking: Asking, problem: Problem, ndims: tuple[int, ...], notes: list[str]) -> tuple[str, ...]:
    """Dtypes that the target takes on all axes; a low-precision or integer one only where it comes back as itself.

    float32 and float64 (and, on torch, every float) belong to the contract of a convolution: a target
    that takes them and returns another type is judged, and found out by shape-dtype-kept.

    Raises
    ------
    UsageError
        If only others are taken, and each comes back as another type.
    """
    kept, promoted = [], []
    strict = ("f64", "f32", "f16", "bf16") if asking.caller.kind.name == "torch" else ("f64", "f32")
    for dtype in ("f32", "f64", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "complex64", "complex128"):
        found = [y for n in ndims if (y := asking.call(on_axes(problem, n).replace(dtype=dtype))) is not None]
        if len(found) < len(ndims):
            continue
        others = [str(y.dtype) for y in found if y.dtype != DTYPES[dtype].numpy]
        foreign = DTYPES[dtype].kind == "c" or (dtype == "bf16" and asking.caller.kind.name == "numpy")
        if foreign and not others and not _multiplies(asking, on_axes(problem, ndims[0]), dtype):
            promoted.append(f"{dtype} (comes back as no sum of products; name the dtype {dtype} to have it judged)")
        elif not others or dtype in strict:
            kept.append(dtype)
        else:
            promoted.append(f"{dtype} (comes back as {others[0]})")
    notes.append("dtypes: " + ", ".join(kept))
    if promoted:
        notes.append("dtypes not judged: " + ", ".join(promoted))
    if promoted and not kept:
        raise UsageError(
            f"results are not of their operands' type: {', '.join(promoted)}; wrap the target in a function that"
            " converts them, or name a dtype to have that judged"
        )
    return tuple(kept) or (problem.dtype,)


def inherits_flaws(asking: Asking, problem: Problem) -> bool:
    """Whether the target calls torch's own convolution on the CPU, and so gets wrong what that does."""
    caller = asking.caller
    if caller.kind.name != "torch" or caller.kind.device != "cpu" or torch_flaws.is_torchs_own(caller.function):
        return False
    dtypes = dict.fromkeys((problem.dtype, "f32", "f64", "f16", "bf16"))  # some have ways of their own for some
    calls = (partial(asking.call, problem.replace(dtype=dtype)) for dtype in dtypes)
    return any(map(torch_flaws.calls_convolution, calls))


def _multiplies(asking: Asking, problem: Problem, dtype: str) -> bool:
    """Whether the plainest problem of a dtype comes back as it should, of halves of integers.

    Many functions never meant to take it: they drop imaginary parts, conjugate kernels, or take bfloat16, which NumPy
    doesn't know, for integers.
    """
    which, asked = asking.caller.primary, problem.replace(dtype=dtype)
    operands = plain_operands(which, asked).changed(lambda array: (array * array.dtype.type(0.5)).astype(array.dtype))
    result, expected = asking.call(asked, operands), contract(which, asked, *operands, number=np.complex128)
    if result is None or result.shape != expected.shape:
        return False
    return bool(np.all(np.abs(result.astype(np.complex128) - expected) < 0.1))


def settle_kernels(asking: Asking, problem: Problem, notes: list[str]) -> tuple[int, ...]:
    """Sizes of a kernel that are left where others are declined; empty where none is."""
    squares = {k: problem.replace(size=(9,) * problem.ndim, kernel=(k,) * problem.ndim) for k in (1, 2, 3, 5)}
    taken = tuple(k for k, square in squares.items() if not asking.declines(square) or _fits_apart(asking, square))
    if not 0 < len(taken) < len(squares):
        return ()
    notes.append(f"kernels: {', '.join(map(str, taken))} along every axis")
    return taken


def _fits_apart(asking: Asking, square: Problem) -> bool:
    """Whether a kernel is taken where its windows lie side by side, as patches do."""
    apart = square.replace(size=tuple(2 * k for k in square.kernel), stride=square.kernel)
    return "stride" in asking.caller.signature.names and asking.takes(apart)


def settle_refusals(asking: Asking, problem: Problem, notes: list[str]) -> frozenset[str]:
    """Places where the target raises on what it doesn't take, and no parameter says: in kernels, sizes, or memory."""
    asking.declines(problem.replace(size=(*problem.size[:-1], problem.size[-1] + 1)))
    for kernel in KERNELS:
        asking.declines(plain(kernel, problem.ndim, problem.dtype, problem.channels, problem.filters))
    for name in ("a", "b"):
        asking.declines(problem, partial(_every_second, name))
    notes += [f"refuses, in its own words: {words}" for words in dict.fromkeys(asking.refusals.values())]
    return frozenset(asking.refusals)


def _every_second(name: str, operands: Operands) -> Operands:
    """Lay one operand out as every second element of a larger array."""
    return operands._replace(**{name: np.repeat(getattr(operands, name), 2, axis=-1)[..., ::2]})


def settle_work(asking: Asking, problem: Problem, notes: list[str]) -> int:
    """Multiply-adds that a problem may have, by how fast the target is."""
    kernel = {1: (4,), 2: (2, 2), 3: (2, 2, 1)}[problem.ndim]
    few = {1: (253,), 2: (26, 11), 3: (6, 6, 10)}[problem.ndim]
    many = {1: (5003,), 2: (51, 101), 3: (11, 11, 50)}[problem.ndim]
    seconds = 0.0
    for size in (few, many):  # a target that is slow on 1,000 multiply-adds isn't kept busy with 20,000
        sample = problem.replace(size=size, kernel=kernel)
        if seconds <= _SPEEDS[-2][0]:
            seconds = min(_seconds(asking, sample) for _ in range(4))
    limit = next(limit for bound, limit in _SPEEDS if seconds <= bound)
    if limit < _SPEEDS[0][1]:
        notes.append(f"slow target: problems are kept below {limit} multiply-adds")
    return limit


def _seconds(asking: Asking, problem: Problem) -> float:
    operands = plain_operands(asking.caller.primary, problem)
    with torch_state.one_thread():
        start, spent = time.perf_counter(), time.process_time()
        asking.call(problem, operands)
        # other processes must not make a target look slow, nor many threads that work at once
        return min(time.perf_counter() - start, time.process_time() - spent)
