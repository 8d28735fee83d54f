"""Faults that tolerances hide: how many of twenty random inputs show them, by convcheck's cases and by other rules.

Each fault is a function on NumPy arrays, right but for one step. convcheck judges it by the cases of profile gate with
seeds 0 to 19, up to the first that fails, Hypothesis's left out. The other rules compare one result a seed, on
N 2, C 64, 14 x 14 against 32 filters of 3 x 3 (576 terms), with the sum in float64 rounded once:

- allclose: NumPy's and torch.allclose's defaults, rtol 1e-5 and atol 1e-8, on normal operands;
- assert_close: torch.testing's defaults by dtype, on normal operands;
- integers: oneDNN's benchdnn (tests/benchdnn/conv/cfg.cpp and utils/cfg.hpp): uniform integers in -32..32 for f32, in
  -4..4 for bf16, in -4..4 against -2..2 for f16; so many elements of x are zeroed that the rest, at its largest, sums
  up to what the output's type holds; and no error is allowed;
- rms: MIOpenDriver's (driver/conv_driver.hpp, test/verify.hpp): the root of the mean square error over the largest
  value, at most 1.5e-6 for f32, 8.2e-3 for f16, 6.6e-2 for bf16, on normal operands;
- l2: benchdnn's for Winograd (tests/benchdnn/conv/conv.cpp): |error| / |expected| in the 2-norm, at most 2e-5 for f32
  and 7e-3 for f16, on normal operands.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import prod
from statistics import median
from typing import Any

import ml_dtypes
import numpy as np
import torch

from convcheck.engines import Engine
from convcheck.engines.wrap import wrap
from convcheck.examine import examine
from convcheck.laws import LAWS
from convcheck.plan import PROFILES, cases_of, slices
from convcheck.selftest.faults.values import tf32

Array = np.ndarray[Any, Any]
Sum = Callable[[Array, Array, dict[str, Any]], Array]

DTYPES = {"f32": np.dtype(np.float32), "f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
SHAPES = (2, 64, 14, 14), (32, 64, 3, 3)
PIECE = 64  # terms of one partial sum
GATE = PROFILES["gate"]
#: by dtype: relative and absolute tolerance of assert_close, and those of rms and of l2, which bf16 has none of
TOLERANCES = {
    "f32": (1.3e-6, 1e-5, 1.5e-6, 2e-5),
    "f16": (1e-3, 1e-5, 8.2e-3, 7e-3),
    "bf16": (1.6e-2, 1e-5, 8 * 8.2e-3, 0.0),
}


def convolve(x: Array, w: Array, parameters: dict[str, Any]) -> Array:
    """Sum in the arrays' own type, which is float32 or float64."""
    with torch.no_grad():
        tensors = (torch.from_numpy(np.ascontiguousarray(array)) for array in (x, w))
        return torch.nn.functional.conv2d(*tensors, **parameters).numpy()


def rounded(to: Any) -> Sum:
    def narrow(values: Array) -> Array:
        return tf32(values) if to == "tf32" else values.astype(to).astype(values.dtype)

    return lambda x, w, parameters: convolve(narrow(x), narrow(w), parameters)


def split(to: Any) -> Sum:
    """Store the sum of every 64 terms in another type, then add these up."""

    def sums(x: Array, w: Array, parameters: dict[str, Any]) -> Array:
        total: Any = 0
        for start in range(0, w[0].size, PIECE):
            part = np.zeros_like(w)
            piece = (slice(None), slice(start, start + PIECE))
            part.reshape(len(w), -1)[piece] = w.reshape(len(w), -1)[piece]
            total = total + convolve(x, part, parameters).astype(to).astype(x.dtype)
        return np.asarray(total)

    return sums


def dropped(of: Callable[[int], bool]) -> Sum:
    """Leave the middle tap out of the middle element's sum, where the reduction is of a certain length."""

    def sums(x: Array, w: Array, parameters: dict[str, Any]) -> Array:
        y = convolve(x, w, parameters)
        if of(w[0].size) and y.size:
            at, less = np.unravel_index(y.size // 2, y.shape), w.copy()
            less[at[1]].flat[w[0].size // 2] = 0
            y[at] = convolve(x, less, parameters)[at]
        return y

    return sums


#: dtypes in which a fault is made, and how sums are made there
FAULTS: dict[str, tuple[tuple[str, ...], Sum]] = {
    "none: a correct function": (("f32", "f16", "bf16"), convolve),
    "operands rounded to tf32": (("f32",), rounded("tf32")),
    "operands rounded to bf16": (("f32",), rounded(DTYPES["bf16"])),
    "partial sums stored in bf16": (("f32", "bf16"), split(DTYPES["bf16"])),
    "partial sums stored in f16": (("f32", "f16"), split(DTYPES["f16"])),
    "one tap dropped from 576 terms on": (("f32", "f16", "bf16"), dropped(lambda terms: terms >= 576)),
    "one tap dropped of just 576 terms": (("f32", "f16", "bf16"), dropped(lambda terms: terms == 576)),
}


def target(dtype: str, faulty: Sum) -> Callable[..., Array]:
    """Return a convolution with a fault in one dtype; float16 and bfloat16 are summed in float32."""

    def conv2d(
        x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None, stride=1, padding=0, dilation=1, groups=1
    ) -> np.ndarray:
        if x.dtype.kind in "iu":
            raise NotImplementedError("floating-point arrays only")
        wide = np.float64 if x.dtype == np.float64 else np.float32
        parameters = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        sums = faulty if x.dtype == DTYPES[dtype] else convolve
        y = sums(x.astype(wide), w.astype(wide), parameters)
        y = y if bias is None else y + bias.astype(wide)[:, None, None]
        return y.astype(x.dtype)

    return conv2d


def cases_to_kill(engine: Engine, seed: int) -> int | None:
    """How many cases of gate are judged up to the first that fails; None if none does."""
    count = 0
    for part in slices(engine, LAWS, GATE):
        for case in cases_of(engine, part, GATE, seed) if part.stream != "search" else ():
            count += 1
            verdict = examine(engine, case).verdict
            if verdict is not None and not verdict.ok:
                return count
    return None


def operands(dtype: str, seed: int, *, whole: bool) -> tuple[Array, Array]:
    """Normal operands, or benchdnn's sparse integers."""
    generator = np.random.default_rng(seed)
    if not whole:
        x, w = (generator.standard_normal(shape) for shape in SHAPES)
    else:
        ends = {"f32": (32, 32), "f16": (4, 2), "bf16": (4, 4)}[dtype]
        digits = {"f32": 24, "f16": 11, "bf16": 8}[dtype]
        density = min(1.0, 2**digits // prod(ends) / prod(SHAPES[1][1:]))
        x, w = (generator.integers(-end, end, shape, endpoint=True) for end, shape in zip(ends, SHAPES, strict=True))
        x = x * (generator.random(SHAPES[0]) < density)
    return x.astype(DTYPES[dtype]), w.astype(DTYPES[dtype])


def compared(function: Callable[..., Array], dtype: str, seed: int, *, whole: bool) -> tuple[Array, Array]:
    """What the function returns, and what it should: the sum in float64, rounded once; both as float64."""
    x, w = operands(dtype, seed, whole=whole)
    exact = convolve(x.astype(np.float64), w.astype(np.float64), {}).astype(DTYPES[dtype])
    return function(x, w).astype(np.float64), exact.astype(np.float64)


def found_by(function: Callable[..., Array], dtype: str, seed: int) -> dict[str, bool]:
    """Which of the other rules tell the function from a convolution."""
    found = {"integers": not np.array_equal(*compared(function, dtype, seed, whole=True))}
    y, exact = compared(function, dtype, seed, whole=False)
    error = np.abs(y - exact)
    relative, absolute, rms, l2 = TOLERANCES[dtype]
    found["allclose"] = not np.allclose(y, exact)
    found["assert_close"] = bool(np.any(error > absolute + relative * np.abs(exact)))
    found["rms"] = bool(np.sqrt(np.mean(error**2)) > rms * max(np.abs(y).max(), np.abs(exact).max()))
    if l2:
        found["l2"] = bool(np.linalg.norm(error) > l2 * np.linalg.norm(exact))
    return found


RULES = ("allclose", "assert_close", "integers", "rms", "l2")


def row(name: str, dtype: str, faulty: Sum, seeds: int) -> str:
    function = target(dtype, faulty)
    engine = wrap(function, name=name, ndim=2)
    wanted = range(1 if faulty is convolve else seeds)  # the others are judged by false_alarms.py
    counts = [cases_to_kill(engine, seed) for seed in wanted]
    kills = [count for count in counts if count is not None]
    found = [found_by(function, dtype, seed) for seed in range(seeds)]
    others = [str(sum(f[rule] for f in found)) if rule in found[0] else "-" for rule in RULES]
    ours = f"{len(kills)}/{len(counts)}", f"{median(kills):g}" if kills else "-"
    return f"{name:<34} {dtype:<4}  {ours[0]:>9} {ours[1]:>6}  " + "  ".join(f"{v:>12}" for v in others)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--faults", default="", help="only those whose name contains this")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"found with {given.seeds} seeds, and convcheck's cases up to then (median)\n")
    print(f"{'fault':<34} {'':<4}  {'convcheck':>9} {'cases':>6}  " + "  ".join(f"{rule:>12}" for rule in RULES))
    for name, (dtypes, faulty) in FAULTS.items():
        for dtype in dtypes if given.faults in name else ():
            print(row(name, dtype, faulty, given.seeds), flush=True)
    print("\nWhat a rule finds in the correct function is a false alarm.")


if __name__ == "__main__":
    main()
