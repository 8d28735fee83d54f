"""What a call may leave behind in its process, where others rely on it: seeds, streams, directory, modes."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["PLACES", "noting", "remember", "touched"]

#: those that every system has
_COMMON = (signal.SIGINT, signal.SIGTERM, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)
SIGNALS = (*_COMMON, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else []))
#: what is read of a place that can no longer be read, as of a working directory that is gone
GONE = "gone"


@dataclass(frozen=True)
class Place:
    """Somewhere in the process where a call can leave a trace: its name, and how what is there is read and put back."""

    name: str
    read: Callable[[], Any]
    put: Callable[[Any], object]


def _numpy_state() -> Any:
    state: Any = np.random.get_state()  # noqa: NPY002 - the generator that all share
    kind, keys, *rest = state
    return kind, keys.tobytes(), *rest


def _put_numpy_state(state: Any) -> None:
    kind, keys, *rest = state
    np.random.set_state((kind, np.frombuffer(keys, np.uint32), *rest))  # noqa: NPY002


def _put_environment(variables: dict[str, str]) -> None:
    if variables != dict(os.environ):
        os.environ.clear()
        os.environ.update(variables)


def _handlers() -> Any:
    return [signal.getsignal(number) for number in SIGNALS]


def _put_handlers(handlers: Any) -> None:
    for number, handler in zip(SIGNALS, handlers, strict=True):
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _of_torch(name: str, read: Callable[[Any], Any], put: Callable[[Any, Any], Any]) -> Place:
    """Somewhere in torch, which is left alone where it has not been imported."""

    def value() -> Any:
        torch = sys.modules.get("torch")
        return read(torch) if torch else None

    def restore(before: Any) -> None:
        if before is not None:
            put(sys.modules["torch"], before)

    return Place(name, value, restore)


def _seed_torch(torch: Any, state: bytes) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _stream(name: str) -> Place:
    def read() -> Any:
        return getattr(sys, name), bool(getattr(getattr(sys, name), "closed", True))

    return Place(f"sys.{name}", read, lambda value: setattr(sys, name, value[0]))


PLACES = (
    Place("the generator of random", random.getstate, random.setstate),
    Place("the generator of numpy.random", _numpy_state, _put_numpy_state),
    Place("numpy's handling of floating-point errors", np.geterr, lambda kept: np.seterr(**kept)),
    Place("numpy's print options", np.get_printoptions, lambda kept: np.set_printoptions(**kept)),
    Place("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    _of_torch("torch's generator", lambda torch: torch.get_rng_state().numpy().tobytes(), _seed_torch),
    _of_torch("torch's default dtype", lambda t: t.get_default_dtype(), lambda t, v: t.set_default_dtype(v)),
    _of_torch("torch's grad mode", lambda t: t.is_grad_enabled(), lambda t, v: t.set_grad_enabled(v)),
    _of_torch("torch's number of threads", lambda t: t.get_num_threads(), lambda t, v: t.set_num_threads(v)),
    Place("the working directory", os.getcwd, os.chdir),
    Place("the environment", lambda: dict(os.environ), _put_environment),
    Place("handlers of signals", _handlers, _put_handlers),
    _stream("stdout"),
    _stream("stderr"),
)

#: what was there before the target was first called: one that always leaves the same trace changes nothing later
_at_first: list[Any] = []


def remember(*, anew: bool) -> None:
    """Keep what is there now as what is usual, unless that is known and not asked for anew."""
    if anew or not _at_first:
        _at_first[:] = _read()


def touched(call: Callable[[], Any]) -> list[bool]:
    """Make a call where everything is as usual, and say for each of `PLACES` whether it left a trace there."""
    now = _read()
    try:
        nowhere = Path(os.devnull)
        with nowhere.open("w") as out, nowhere.open("w") as errors, redirect_stdout(out), redirect_stderr(errors):
            _restore(_at_first, streams=False)
            _draw()
            before = _read()
            call()
            after = _read()
            # torch may have been imported just now
            return [one is not None and one != other for one, other in zip(before, after, strict=True)]
    finally:
        _restore(now)


def noting(left: list[list[bool]], call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call, which adds to ``left`` what it `touched`."""

    def noted(*given: Any) -> Any:
        results: list[Any] = []
        left.append(touched(lambda: results.append(call(*given))))
        return results[0]

    return noted


def _read() -> list[Any]:
    return [_value(place) for place in PLACES]


def _value(place: Place) -> Any:
    try:
        return place.read()
    except OSError:
        return GONE


def _restore(values: list[Any], *, streams: bool = True) -> None:
    for place, value in zip(PLACES, values, strict=False):
        if streams or not place.name.startswith("sys."):
            with suppress(OSError, ValueError):  # a directory that is gone, a handler from another thread
                place.put(value)


def _draw() -> None:
    """Draw numbers, so that no generator is where a seed has put it."""
    random.random()  # noqa: S311
    np.random.random()  # noqa: NPY002
    if torch := sys.modules.get("torch"):
        torch.rand(1)
