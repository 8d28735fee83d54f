"""What a call leaves behind in its process: each kind of trace is named, and taken away again."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys

import numpy as np
import pytest

from convcheck.engines import wrap
from convcheck.run import verify
from convcheck.traces import PLACES, remember, touched


def _torch(change):
    return lambda: change(sys.modules["torch"])


TRACES = {
    "the generator of random": lambda: random.seed(0),
    "the generator of numpy.random": lambda: np.random.seed(0),  # noqa: NPY002
    "numpy's handling of floating-point errors": lambda: np.seterr(all="raise"),
    "numpy's print options": lambda: np.set_printoptions(precision=3),
    "garbage collection": gc.disable,
    "torch's generator": _torch(lambda torch: torch.manual_seed(0)),
    "torch's default dtype": _torch(lambda torch: torch.set_default_dtype(torch.float64)),
    "torch's grad mode": _torch(lambda torch: torch.set_grad_enabled(False)),
    "torch's number of threads": _torch(lambda torch: torch.set_num_threads(torch.get_num_threads() + 1)),
    "the working directory": lambda: os.chdir("/"),
    "the environment": lambda: os.environ.update(CONVCHECK_TRACE="left"),
    "handlers of signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "sys.stdout": lambda: sys.stdout.close(),  # noqa: PLW0108 - the one of then
    "sys.stderr": lambda: setattr(sys, "stderr", None),
}


def names(found):
    return [place.name for place, left in zip(PLACES, found, strict=True) if left]


def state():
    return [place.read() for place in PLACES]


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_is_named_and_taken_away(name):
    if name.startswith("torch"):
        pytest.importorskip("torch")
    remember(anew=True)
    before = state()
    assert (names(touched(TRACES[name])), state()) == ([name], before)


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_that_was_left_before_is_found_again(name):
    if name.startswith("torch"):
        pytest.importorskip("torch")
    remember(anew=True)
    before = state()
    try:
        if not name.startswith("sys."):
            TRACES[name]()
        assert names(touched(TRACES[name])) == [name]
    finally:
        for place, value in zip(PLACES, before, strict=True):
            place.put(value)


def test_a_call_that_leaves_nothing_leaves_no_trace():
    assert names(touched(lambda: sys.stdout.write("seen by nobody"))) == []


def test_what_is_usual_is_kept_unless_asked_for_anew(monkeypatch, tmp_path):
    remember(anew=True)
    monkeypatch.chdir(tmp_path)
    remember(anew=False)
    assert names(touched(lambda: os.chdir(tmp_path))) == ["the working directory"]
    remember(anew=True)
    assert names(touched(lambda: os.chdir(tmp_path))) == []


def correlation(X, K):
    return np.array([(X[i : i + len(K)] * K).sum() for i in range(len(X) - len(K) + 1)], X.dtype)


def test_a_function_that_leaves_a_trace_at_every_call_violates_the_law():
    def seeded(X, K):
        np.random.seed(0)  # noqa: NPY002
        return correlation(X, K)

    (violation,) = verify(wrap(seeded, ndim=1), laws=["leaves-no-trace"]).violations
    assert violation.reason == "left a trace in 1 of 14 places: the generator of numpy.random"


def test_handling_of_errors_that_judging_itself_changes_is_seen_too():
    def silencing(X, K):
        np.seterr(all="ignore")
        return correlation(X, K)

    (violation,) = verify(wrap(silencing, ndim=1), laws=["leaves-no-trace"]).violations
    assert violation.reason == "left a trace in 1 of 14 places: numpy's handling of floating-point errors"


def test_what_a_first_call_leaves_behind_is_no_violation():
    calls = []

    def loading(X, K):
        if len(calls) == loading.at:
            random.seed(0)
        calls.append(1)
        return correlation(X, K)

    loading.at = -1
    engine = wrap(loading, ndim=1)
    loading.at = len(calls)
    assert verify(engine, laws=["leaves-no-trace"]).ok


def test_a_working_directory_that_is_removed_is_a_trace_there(tmp_path):
    def vanish():
        place = tmp_path / "gone"
        place.mkdir()
        os.chdir(place)
        place.rmdir()

    remember(anew=True)
    before = state()
    assert (names(touched(vanish)), state()) == (["the working directory"], before)
