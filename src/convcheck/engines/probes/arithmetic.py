"""Which arithmetic a target has: probes for the precision of its sums, and for the errors of FFT and Winograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import ceil, log2
from typing import Any

import numpy as np

from convcheck.bounds import INPUT_ROUNDOFFS, Numerics, expect
from convcheck.dtypes import DTYPES
from convcheck.engines.caller import Caller
from convcheck.engines.facts import Wanted
from convcheck.engines.probes.asking import Asking
from convcheck.engines.signature import code_of
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["is_normwise", "settle_numerics", "sums_narrowly"]

#: deaths of the target after which it is asked only what it must be
_PATIENCE = 4

Array = np.ndarray[Any, Any]
Call = Callable[[Problem, Operands], Array | None]


def settle_numerics(
    asking: Asking, problem: Problem, dtypes: tuple[str, ...], wanted: Wanted, notes: list[str], *, channels: bool
) -> Numerics:
    """Return what may be asked of the results, as the user declares it or as probes show it."""
    kind, primary = asking.caller.kind, asking.caller.primary
    if not kind.has_values:
        notes.append(f"values: none on the device {kind.device}; only shapes and types are judged")
        return Numerics()
    patient = len(asking.watch.avoid) < _PATIENCE
    call = asking.call if patient else _unasked
    if not patient:
        notes.append("arithmetic: not probed, since the target died of other probes")
    as_declared = wanted.accuracy is not None or wanted.input_rounding is not None
    inferred = not as_declared and is_normwise(call, primary, problem, dtypes, channels=channels)
    low = [d for d in ("f16", "bf16") if d in dtypes and not inferred]  # a transform's errors look like narrow sums
    narrow: dict[str, str] = {
        d: d for d in low if _is_narrow(call, asking.caller, problem, d, wanted, channels=channels)
    }
    foreign = kind.name == "numpy" and [*narrow] == ["bf16"]  # NumPy knows float16 alone, which einsum sums in float32
    # other arithmetic of arrays doesn't do one without the other: a mistake in one of them
    if 0 < len(narrow) < len(low) and not foreign:
        notes.append(f"accumulator: float32, though {', '.join(narrow)} alone is summed in its own type")
        narrow = {}
    elif narrow:
        notes.append(f"accumulator: that of the operands in {', '.join(narrow)} (accumulator wide asks for float32)")
    reason = "normwise, since results come back with rounding errors as FFT and Winograd leave them"
    notes.append(f"accuracy: {reason if inferred else wanted.accuracy or 'componentwise'}")
    return Numerics(
        accumulators=narrow,
        normwise=inferred or wanted.accuracy == "normwise",
        input_roundoff=INPUT_ROUNDOFFS[wanted.input_rounding] if wanted.input_rounding else 0.0,
        splits=wanted.splits,
    )


def _unasked(*_: Any) -> None:
    """Answer nothing, for a target that has died of too many probes."""


def _is_narrow(call: Call, caller: Caller, problem: Problem, dtype: str, wanted: Wanted, *, channels: bool) -> bool:
    """Whether sums are rounded to a low-precision type as they go, which the arithmetic of arrays does.

    A compiled operator, which has its own accumulator, is held to float32 unless it is declared narrow.
    """
    if wanted.splits and not wanted.accumulator:  # partial sums that are stored look like narrow ones
        return False
    if wanted.accumulator or caller.primary is not Map.FORWARD:  # transposed ones scatter, in their own type
        return wanted.accumulator != "wide"
    written = hasattr(code_of(caller.function), "__code__")
    return written and sums_narrowly(call, problem, dtype, channels=channels)


def sums_narrowly(call: Call, problem: Problem, dtype: str, *, channels: bool) -> bool:
    """Whether products, or sums of a few terms along taps or channels, are rounded to the operands' own type.

    Large terms cancel around a 1, which is lost where a partial sum is rounded; and a product of two odd numbers
    needs more bits than the type has. All that is summed is exact in float32.
    """
    precision = DTYPES[dtype].precision
    big, odd = 2.0 ** (precision + 1), 2.0 ** (precision // 2 + 1) + 1
    cancelling = [((big, 1, -big), (1, 1, 1)), ((1, big, -big), (1, 1, 1)), ((big, -big, 1), (1, 1, 1))]
    trials = [*cancelling, ((odd, -1, 0), (odd, odd * odd - 1, 0))]
    shapes = tuple(_shapes(problem.ndim, channels=channels))
    for (x, w), shape, more in product(trials, shapes, (0, 3)):  # odd sizes, and even ones
        case = problem.replace(
            size=tuple(k + more for k in shape[1:]),
            kernel=shape[1:],
            channels=shape[0] * problem.channels,
            filters=(1 + more if channels else 1) * problem.filters,
            dtype=dtype,
        )
        result = call(case, _spread(x, w, case))
        if result is not None and result.size and float(result.flat[0]) != 1:
            return True
    return False


def _shapes(ndim: int, *, channels: bool) -> Iterator[tuple[int, ...]]:
    """Channels and kernels over which the terms are spread: along the last axis, over all axes, over channels."""
    yield 1, *(1,) * (ndim - 1), 3
    yield 1, *(3,) * ndim
    if channels:
        yield 3, *(1,) * ndim
        yield 4, *(1,) * (ndim - 1), 3


def _spread(x: tuple[float, ...], w: tuple[float, ...], case: Problem) -> Operands:
    """Lay three terms out at the first, the middle and the last tap of every filter, zero elsewhere."""
    number = DTYPES[case.dtype].numpy
    window, weight = (np.zeros((case.channels, *case.kernel), number) for _ in range(2))
    places = [0, window.size // 2, window.size - 1]
    window.flat[places], weight.flat[places] = np.array(x, number), np.array(w, number)
    image = np.zeros(case.shapes["x"], number)
    image[0][(slice(None), *map(slice, case.kernel))] = window
    return Operands(image, np.ascontiguousarray(np.broadcast_to(weight, case.shapes["w"])))


def is_normwise(call: Call, which: Map, problem: Problem, dtypes: tuple[str, ...], *, channels: bool) -> bool:
    """Whether results carry errors that a direct sum does not have, all within what a normwise bound allows.

    Integers show those of most FFT and Winograd transforms. The smallest, F(2, 3), only halves and adds, and keeps
    integers exact: it shows where an element of another magnitude meets a tap that is zero. Such errors grow with both
    operands; a mistake that does so too, and is small enough in float32, is too large for float64.
    """
    floats = [d for d in ("f32", "f64") if d in dtypes]
    tiles = tuple(_tiles(problem.ndim, channels=channels))
    some = {name: getattr(problem, name) for name in ("channels", "filters")}
    tiles = tuple(tile | {"channels": tile["channels"] * some["channels"]} for tile in tiles)
    cases = [problem.replace(dtype=dtype, **some | tile) for dtype, tile in product(floats, tiles)]
    for make_operands in (_whole, _wild):
        errors = [_error(call, which, case, make_operands(which, case)) for case in cases]
        if "beyond" in errors:
            return False
        if "normwise" in errors:
            case = cases[errors.index("normwise")]
            return _scales(call, case, make_operands(which, case))
    return False


def _tiles(ndim: int, *, channels: bool) -> Iterator[dict[str, Any]]:
    """Problems on which transforms are worth their while: a kernel of 3 or more, of some channels."""
    for size, kernel, count in (9, 3, 1), (10, 3, 1), (16, 5, 1), (24, 9, 1), *([(12, 3, 16)] if channels else []):
        sizes, kernels = ((6, 7, 8), (3, 3, 3)) if ndim == 3 else ((size,) * ndim, (kernel,) * ndim)
        yield {"size": sizes, "kernel": kernels, "channels": count}


def _whole(which: Map, case: Problem) -> Operands:
    """Integers of which every sum is exact."""
    bits = (DTYPES[case.dtype].precision - ceil(log2(case.terms(which)))) // 2
    return Operands(*(make(case, role, Fill("dense", 2**bits - 1)) for role in which.roles))


def _wild(which: Map, case: Problem) -> Operands:
    """In one channel, some elements of the first operand are large; every second tap is zero."""
    fills = zip(which.roles, (Fill("dense", 2**11), Fill("dense", 7)), strict=True)
    first, second = (make(case, role, fill) for role, fill in fills)
    first[0, 0].flat[::7] *= 2.0 ** DTYPES[case.dtype].precision
    second.reshape(*second.shape[:2], -1)[..., 1::2] = 0
    return Operands(first, second)


def _error(call: Call, which: Map, case: Problem, operands: Operands) -> str:
    """Whether errors are within a ``componentwise`` bound, a ``normwise`` one, or ``beyond`` both; empty: no answer.

    Those in between may be ``proportional`` to the results, which tells nothing of a transform.
    """
    result = call(case, operands)
    if result is None or result.shape != case.shapes[which.result]:
        return ""
    exact, norm = (expect(which, case, operands, Numerics(normwise=n)) for n in (False, True))
    error = np.abs(result.astype(np.float64) - exact.value.astype(np.float64))
    if np.all(error <= exact.bound):
        return "componentwise"
    # a transform's errors have the size of the largest terms; one in proportion to each result is a wrong factor
    proportional = 16 * DTYPES[case.dtype].unit_roundoff * np.abs(exact.value.astype(np.float64))
    if np.any(error > norm.bound):
        return "beyond"
    return "normwise" if np.any(error > proportional) else "proportional"


def _scales(call: Call, case: Problem, operands: Operands) -> bool:
    """Whether an operand that is 8 times as large makes a result that is exactly 8 times as large, errors included."""
    once, eight = call(case, operands), DTYPES[case.dtype].numpy.type(8)
    scaled = call(case, operands._replace(a=operands.a * eight)), call(case, operands._replace(b=operands.b * eight))
    return once is not None and all(more is not None and np.array_equal(more, 8 * once) for more in scaled)
