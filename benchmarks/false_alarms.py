"""Judge engines that are right by many cases of every law: whatever is violated is either theirs or an alarm of ours.

``python benchmarks/false_alarms.py --cases 100000 torch`` judges PyTorch; without names, all engines, one after the
other. A violation needs a person, who works its case by hand; docs/bounds.md says what each engine is held to.
"""

from __future__ import annotations

import argparse
import time
from bisect import bisect_left
from typing import Any

import torch

import convcheck
from convcheck.engines import engine_of
from convcheck.laws import LAWS
from convcheck.plan import PROFILES, Profile, slices
from convcheck.report.report import Report
from convcheck.selftest.correct.transforms import ENGINES

FFT, WINOGRAD_2, WINOGRAD_4 = ENGINES
CONV = {3: torch.nn.functional.conv1d, 4: torch.nn.functional.conv2d, 5: torch.nn.functional.conv3d}
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def conv(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1) -> torch.Tensor:
    """PyTorch's convolutions with oneDNN, wherever that takes a problem."""
    return _torch(True, x, w, bias, stride, padding, dilation, groups)


def native(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1) -> torch.Tensor:
    """PyTorch's convolutions of its own."""
    return _torch(False, x, w, bias, stride, padding, dilation, groups)


def nnpack(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1) -> torch.Tensor:
    """PyTorch's convolutions without oneDNN, but with NNPACK's transforms from 16 images on."""
    return _torch(False, x, w, bias, stride, padding, dilation, groups, nnpack=True)


def channels_last(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1) -> torch.Tensor:
    """PyTorch's convolutions of operands whose channels lie side by side."""
    layout = CHANNELS_LAST[x.ndim]
    x, w = x.contiguous(memory_format=layout), w.contiguous(memory_format=layout)
    return _torch(True, x, w, bias, stride, padding, dilation, groups)


def _torch(onednn: bool, x: torch.Tensor, *arguments: Any, nnpack: bool = False) -> torch.Tensor:  # noqa: FBT001
    torch.backends.mkldnn.set_flags(onednn)  # and left so, since a gradient is computed later
    torch.backends.nnpack.set_flags(nnpack)
    try:
        return CONV[x.ndim](x, *arguments)
    except RuntimeError as error:
        if "not implemented for" in str(error):
            raise NotImplementedError(str(error)) from error
        raise


def _of_torch(function: str, *ndim: int, **options: Any) -> tuple[str, dict[str, Any]]:
    return f"false_alarms:{function}", {"ndim": ndim, "array": "torch", **options}


#: target and options by name; each target is named, not given, since workers import it
TARGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "torch": ("torch", {}),
    "torch-onednn": _of_torch("conv", 1, 2, 3, dtypes=("f32", "bf16", "f16")),
    "torch-native": _of_torch("native", 1, 2, 3, dtypes=("f32", "f64", "bf16", "f16")),
    "torch-nnpack": _of_torch("nnpack", 1, 2, dtypes=("f32",), accuracy="normwise"),
    "torch-channels-last": _of_torch("channels_last", 2, 3, dtypes=("f32", "f64", "bf16", "f16")),
    "torch-bf16": _of_torch("conv", 1, 2, 3, dtypes=("bf16",)),
    "torch-f16": _of_torch("conv", 1, 2, 3, dtypes=("f16",)),
    "scipy": ("scipy", {}),
    "fft": ("false_alarms:FFT", {}),
    "winograd-2-3": ("false_alarms:WINOGRAD_2", {}),
    "winograd-4-3": ("false_alarms:WINOGRAD_4", {}),
}


def campaign(target: str, options: dict[str, Any], cases: int) -> Profile:
    """Return a profile of so many cases: gate's sweep and search, and the rest free choices, alike for every law."""
    engine = engine_of(target, **options)
    laws = tuple(law for law in LAWS if not (law.direct and engine.numerics.normwise))

    def of(each: int) -> Profile:
        return PROFILES["gate"].replace(name="campaign", random=each, certifying=each, shrink_seconds=20.0)

    def planned(each: int) -> int:
        return sum(part.stop - part.start for part in slices(engine, laws, of(each)))

    return of(bisect_left(range(cases), cases, lo=1, key=planned))


def show(name: str, report: Report, seconds: float) -> None:
    skipped = sum(sum(result.skipped.values()) for result in report.results)
    figures = f"{report.judged:>9,}  {skipped:>7,}  {len(report.violations):>10}  {seconds:>7.0f}"
    print(f"{name:<20}  {figures}", flush=True)
    for v in report.violations:
        print(f"    {v.law}: {v.reason} ({v.ratio:.3g} of the bound; {v.failed} of {v.repeated})")
        print(f"      small  {v.case}\n      found  {v.found}\n      {v.condition}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="ENGINE", help=f"some of {', '.join(TARGETS)} (all)")
    parser.add_argument("--cases", type=int, default=100_000, help="for each engine, over all laws (100000)")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.cases:,} cases each\n")
    print(f"{'engine':<20}  {'judged':>9}  {'skipped':>7}  {'violations':>10}  {'seconds':>7}")
    violations = 0
    for name in given.names or TARGETS:
        target, options = TARGETS[name]
        start = time.perf_counter()
        profile = campaign(target, options, given.cases)
        report = convcheck.verify(
            target, profile=profile, seed=given.seed, isolate=True, workers=given.workers, **options
        )
        show(name, report, time.perf_counter() - start)
        violations += len(report.violations)
    print("\nNo correct engine is accused." if not violations else f"\n{violations} to be worked by hand.")


if __name__ == "__main__":
    main()
