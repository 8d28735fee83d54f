"""Problems near one that fails: larger, with all parameters distinct, so that a mistake shows which one it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from convcheck.engines.capabilities import Capabilities
from convcheck.problem import Problem, Sizes

__all__ = ["enlarged", "templates"]

Pairs = Sequence[tuple[int, int]]


def enlarged(problem: Problem, offered: Capabilities) -> Iterator[Problem]:
    """The problem with larger sizes, a larger kernel, more channels: its other parameters stay."""
    grow = (3, 4, 5)[: problem.ndim]
    size = tuple(s + g for s, g in zip(problem.size, grow, strict=True))
    kernel = tuple(k + g for k, g in zip(problem.kernel, (1, 2, 1), strict=False))
    larger = tuple(
        s + d * (after - before) + 1
        for s, d, before, after in zip(size, problem.dilation, problem.kernel, kernel, strict=True)
    )
    g, c, o = problem.groups, problem.channels_per_group, problem.filters_per_group
    wide = {"batch": problem.batch + 1, "channels": g * (c + 1), "filters": g * (o + 2)}
    for changes in ({"size": size}, {"kernel": kernel, "size": larger}, {"size": size, **wide}):
        yield from _fitted(problem.replace(**changes), offered)


def templates(ndim: int, dtype: str, offered: Capabilities) -> Iterator[Problem]:
    """Problems of every kind: one parameter at a time, then all of them, then many channels and long axes."""
    for options in _TEMPLATES:
        yield from _fitted(_build(ndim, dtype, **options), offered)


_UNEVEN: Pairs = ((1, 2), (2, 0), (0, 1))
#: per-axis values, of which the first ``ndim`` are taken; ``extra`` is what the axis has beyond the kernel's reach
_TEMPLATES: tuple[dict[str, Any], ...] = (
    {"kernel": (2, 3, 2), "extra": (3, 4, 2)},
    {"kernel": (3, 3, 3), "extra": (2, 4, 1)},
    {"kernel": (2, 2, 2), "extra": (3, 3, 3)},
    {"kernel": (3, 2, 2), "extra": (5, 8, 3), "stride": (2, 3, 2)},
    {"kernel": (2, 2, 2), "extra": (7, 9, 4), "stride": (3, 4, 3)},
    {"kernel": (2, 3, 2), "extra": (3, 4, 2), "dilation": (3, 2, 2)},
    {"kernel": (3, 2, 2), "extra": (3, 5, 2), "dilation": (2, 2, 2)},
    {"kernel": (3, 2, 2), "extra": (5, 7, 4), "stride": (3, 2, 1), "dilation": (2, 4, 3)},
    {"kernel": (3, 2, 2), "extra": (5, 7, 4), "stride": (2, 2, 2), "dilation": (2, 2, 2)},
    {"kernel": (3, 3, 3), "extra": (3, 4, 2), "padding": ((1, 1),) * 3},
    {"kernel": (3, 3, 3), "extra": (4, 5, 3), "padding": ((1, 1),) * 3, "stride": (2, 2, 2), "channels": 2},
    {"kernel": (3, 2, 2), "extra": (4, 5, 3), "padding": _UNEVEN},
    {"kernel": (3, 4, 2), "extra": (4, 5, 3), "padding": ((2, 2), (1, 1), (1, 1))},
    {"kernel": (3, 2, 2), "extra": (4, 5, 3), "padding": ((3, 3), (2, 2), (1, 1)), "stride": (2, 3, 2)},
    {"kernel": (2, 4, 2), "extra": (4, 5, 3), "same": True},
    {"kernel": (4, 4, 4), "extra": (3, 4, 2), "same": True},
    {"kernel": (2, 4, 2), "extra": (4, 5, 3), "same": True, "dilation": (2, 2, 2)},
    {"kernel": (2, 4, 2), "extra": (4, 5, 3), "same": True, "lower": True},
    {"kernel": (3, 3, 2), "extra": (3, 5, 4), "same": True, "stride": (2, 2, 2)},
    {"kernel": (5, 4, 2), "extra": (1, 2, 4), "same": True, "stride": (3, 3, 2)},
    {"kernel": (2, 3, 2), "extra": (4, 6, 2), "stride": (2, 3, 2), "groups": 3, "channels": 3, "filters": 3},
    {"kernel": (2, 3, 2), "extra": (4, 5, 2), "dilation": (2, 3, 2), "groups": 3, "channels": 3, "filters": 6},
    {"kernel": (2, 3, 1), "extra": (3, 4, 2), "batch": 3, "channels": 3, "filters": 4},
    {"kernel": (2, 3, 1), "extra": (2, 4, 2), "groups": 3, "channels": 6, "filters": 6},
    {"kernel": (2, 3, 1), "extra": (2, 4, 1), "groups": 4, "channels": 4, "filters": 8},
    {"kernel": (2, 1, 1), "extra": (1, 1, 0), "channels": 31, "filters": 53},
    {"kernel": (1, 1, 1), "extra": (1, 0, 0), "channels": 53, "filters": 31},
    {"kernel": (2, 3, 2), "extra": (1, 30, 1)},
    {"kernel": (3, 2, 2), "extra": (30, 1, 1)},
    {"kernel": (2, 3, 2), "extra": (1, 126, 1)},
    {"kernel": (3, 2, 2), "extra": (126, 1, 1)},
    {"kernel": (1, 1, 1), "extra": (6, 8, 4), "channels": 2, "filters": 3},
    {"kernel": (1, 1, 1), "extra": (6, 8, 4), "stride": (2, 3, 2), "padding": ((2, 2), (1, 1), (1, 1))},
    {"kernel": (3, 4, 2), "extra": (0, 0, 0), "channels": 2, "filters": 2},
    {"kernel": (3, 3, 3), "extra": (0, 0, 0), "padding": _UNEVEN},
    {"kernel": (1, 3, 2), "extra": (3, 4, 2), "dilation": (2, 3, 2)},
    {"kernel": (10, 9, 1), "extra": (3, 4, 2)},
    {"kernel": (9, 8, 1), "extra": (8, 9, 2), "stride": (2, 3, 1), "dilation": (2, 2, 1)},
    {"kernel": (2, 3, 2), "extra": (4, 2, 1), "bias": True, "batch": 2, "filters": 5},
    {"kernel": (2, 3, 2), "extra": (1, 4, 2), "bias": True, "batch": 3, "filters": 5},
    {"kernel": (2, 3, 2), "extra": (1, 4, 2), "bias": True, "channels": 2, "filters": 3},
    {
        "kernel": (2, 3, 2), "extra": (7, 8, 3), "stride": (3, 2, 1), "dilation": (2, 3, 2),
        "padding": ((3, 0), (2, 1), (1, 1)), "batch": 2, "groups": 2, "channels": 6, "filters": 4, "bias": True,
    },
)  # fmt: skip


def _build(ndim: int, dtype: str, *, extra: Sizes, **options: Any) -> Problem:
    own: dict[str, Any] = {name: value[:ndim] if isinstance(value, tuple) else value for name, value in options.items()}
    reaches = zip(own["kernel"], own.get("dilation", (1,) * ndim), extra, strict=False)
    return Problem(size=tuple(d * (k - 1) + 1 + e for k, d, e in reaches), dtype=dtype, **own)


def _fitted(problem: Problem, offered: Capabilities) -> Iterator[Problem]:
    """The problem without what the engine does not take; nothing if it can take no such problem."""
    features, first = offered.features, problem.padding[0]
    changes: dict[str, Any] = {}
    if problem.same and "same-padding" not in features:
        return
    if problem.same and "strided-same" not in features:
        changes["stride"] = (1,) * problem.ndim
    for name in ("stride", "dilation"):
        values = getattr(problem, name)
        if name not in features:
            changes[name] = (1,) * problem.ndim
        elif f"unequal-{name}" not in features:
            changes[name] = values[:1] * problem.ndim
    if not problem.same:
        changes["padding"] = _fitted_padding(problem.padding, features, first)
    if "groups" not in features and problem.groups > 1:
        changes["groups"] = 1
    if "channels" not in features:
        changes |= {"groups": 1, "channels": 1, "filters": 1}
    changes |= {"batch": 1} if "batch" not in features else {}
    changes |= {"bias": False} if "bias" not in features else {}
    fitted = problem.replace(**changes)
    if fitted.is_valid and not offered.admits(fitted):
        yield fitted


def _fitted_padding(
    padding: tuple[tuple[int, int], ...], features: frozenset[str], first: tuple[int, int]
) -> tuple[tuple[int, int], ...]:
    if "padding" not in features:
        return ((0, 0),) * len(padding)
    pairs = padding if "unequal-padding" in features else (first,) * len(padding)
    return pairs if "two-sided-padding" in features else tuple((max(p), max(p)) for p in pairs)
