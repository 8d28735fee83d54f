"""Random problems with channels_last operands, and stride, padding and dilation of their own for each axis.

Each is judged by the law `definition` on PyTorch's conv2d and on its two gradients, in a worker process, with exact
operands whose channels lie side by side. What kills the worker, or returns another sum, is made small and printed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from convcheck.bounds import Numerics
from convcheck.cases import Case, choose_fills
from convcheck.isolation.backend import Isolated
from convcheck.isolation.supervisor import Limits
from convcheck.plan import PROFILES
from convcheck.problem import Map, Problem
from convcheck.replay import Replayed
from convcheck.shrink import MOVES
from convcheck.space import Chooser, seeded

TARGET = "torch.nn.functional:conv2d"
MOST = 1_000_000  # multiply-adds of one problem
CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 67)


def problem(choose: Chooser) -> Problem:
    """Draw a problem: everything spatial on each axis by itself, then as many channels as the work allows."""
    kernel, dilation, stride, padding, size = [], [], [], [], []
    for _ in range(2):
        kernel.append(choose.pick((1, 2, 3, 3, 4, 5, 7)))
        dilation.append(choose.pick((1, 1, 2, 3, 4)))
        stride.append(choose.pick((1, 1, 2, 3, 4, 5, 13)))
        reach = dilation[-1] * (kernel[-1] - 1) + 1
        padding.append(choose.integer(0, reach + 1))
        size.append(max(1, reach - 2 * padding[-1]) + choose.integer(0, choose.pick((1, 4, 20))))
    groups = choose.pick((1, 1, 1, 2, 3, 4, 0))
    channels, filters = (choose.pick(CHANNELS) for _ in range(2))
    if groups == 0:  # depthwise
        groups, channels, filters = channels, 1, choose.pick((1, 1, 2))
    drawn = Problem(
        size=tuple(size), kernel=tuple(kernel), stride=tuple(stride), padding=tuple((p, p) for p in padding),
        dilation=tuple(dilation), batch=choose.pick((1, 2, 3, 4)),
        dtype=choose.pick(("f32", "f32", "f64", "bf16", "f16")),
    )  # fmt: skip
    left = max(1, MOST // (drawn.terms(Map.FORWARD) * drawn.output[0] * drawn.output[1] * drawn.batch))
    groups = min(groups, left)
    channels = min(channels, left // groups)
    filters = min(filters, left // (groups * channels))
    return drawn.replace(groups=groups, channels=groups * channels, filters=groups * filters)


def cases(choose: Chooser, numerics: Numerics) -> Iterator[Case]:
    """Cases of one problem: forward, and the two gradients."""
    drawn = problem(choose)
    for which in Map:
        drawn = drawn.replace(bias=which is Map.FORWARD and choose.pick((True, False)))
        fills = choose_fills("exact", choose, which, drawn, numerics)
        yield Case("definition", drawn, tuple(fill.replace(layout="channels_last") for fill in fills), which)


def outcome(replayed: Replayed) -> str:
    """Return ``holds``, ``not taken``, or how the case failed."""
    if replayed.skipped:
        return "not taken"
    return replayed.violation.reason if replayed.violation else "holds"


def smallest(backend: Isolated, case: Case) -> Case:
    """Make a case that fails small: whichever plainer one fails in the same way is the next."""
    law, before = backend.replay(case).violation, None
    if law is None:  # it fails now and then
        return case
    while case != before:
        before = case
        for move in MOVES:
            fails = (c for c in move(case) if (v := backend.replay(c).violation) is not None and v.law == law.law)
            case = next(fails, case)
    return case


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    backend = Isolated(TARGET, {}, PROFILES["smoke"], given.seed, workers=1, limits=Limits())
    counts: Counter[str] = Counter()
    try:
        for index in range(given.problems):
            for case in cases(seeded(f"{given.seed}/{index}"), backend.engine.numerics):
                how = outcome(backend.replay(case))
                counts[how] += 1
                if how not in ("holds", "not taken"):
                    print(f"{how}\n  found  {case}\n  small  {smallest(backend, case)}", flush=True)
    finally:
        backend.close()
    print(f"{given.problems} problems, on three maps each:")
    for how, count in counts.most_common():
        print(f"{count:>6}  {how}")


if __name__ == "__main__":
    main()
