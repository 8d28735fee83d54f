"""Targets that crash, hang, exit or disturb: each is named, with its case, and the run ends by itself."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from convcheck.replay import replay
from convcheck.run import verify

if not sys.platform.startswith("linux"):  # pragma: no cover
    pytest.skip("worker processes are watched through Linux's own interfaces", allow_module_level=True)

HEADER = """
import ctypes, os, signal, sys, threading, time
import numpy as np

def deadly(X, K):
    return X.shape[0] > 5 and K.shape[1] > 2

def right(X, K):
    h, w = K.shape
    if h > X.shape[0] or w > X.shape[1]:
        raise ValueError("the kernel is larger than the input")
    Y = np.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), X.dtype)
    for i in range(h):
        for j in range(w):
            Y += X[i : i + Y.shape[0], j : j + Y.shape[1]] * K[i, j]
    return Y
"""

DEADLY = {
    "segmentation-fault": ("ctypes.string_at(0)", "crashed: SIGSEGV"),
    "floating-point-exception": ("os.kill(os.getpid(), signal.SIGFPE)", "crashed: SIGFPE"),
    "abort": ("os.abort()", "crashed: SIGABRT"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "crashed: SIGKILL"),
    "exit-without-status": ("os._exit(0)", "ended itself with status 0"),
    "exit-with-status": ("os._exit(7)", "ended itself with status 7"),
    "memory": ("np.ones(1 << 30)", "over 4 GiB"),
    "endless-loop": ("\n        while True: pass", "no answer in 1 s"),
    "endless-sleep": ("time.sleep(1000)", "no answer in 1 s"),
    "write-past-the-end": ("ctypes.memset(X.ctypes.data, 0, 1 << 30)", "crashed: SIGSEGV"),
}

HARMLESS = {
    "prints-much": "os.write(1, b'x' * (1 << 24)); print('y' * (1 << 20))",
    "closes-standard-output": "sys.stdout and sys.stdout.close(); sys.stdout = None",
    "changes-directory": "os.chdir('/')",
    "ignores-signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "seeds-generators": "np.random.seed(0)",
    "leaves-a-thread": "threading.active_count() > 5 or threading.Thread(target=time.sleep, args=(1000,)).start()",
    "leaves-a-child": """
        if not os.path.exists(MARK):
            open(MARK, 'w').close()
            if os.fork() == 0:
                time.sleep(1000)
                os._exit(0)""",
}

RAISED = {
    "system-exit": ("sys.exit(3)", "raised SystemExit: 3"),
    "base-exception": ("raise BaseException('no')", "raised BaseException: no"),
    "keyboard-interrupt": ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "endless-recursion": ("(lambda f: f(f))(lambda f: f(f))", "raised RecursionError"),
    "nothing": ("return None", "returned None instead of a numpy array"),
    "a-list": ("return [[1.0]]", "instead of a numpy array"),
    "text": ("return 'garbage'", "instead of a numpy array"),
}


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Judge a function of the given name and body, in a worker, by two laws."""
    monkeypatch.chdir(tmp_path)

    def judge(name, body, **options):
        module = f"hostile_{name.replace('-', '_')}"
        source = f"{HEADER}\nMARK = {str(tmp_path / 'mark')!r}\n" + dedent(
            f"def corr2d(X, K):\n    if deadly(X, K):\n        {body}\n    return right(X, K)\n"
        )
        (tmp_path / f"{module}.py").write_text(source)
        given = {"laws": ("definition", "output-size"), "profile": "smoke", "call_timeout": 1.0, "ndim": 2}
        return verify(f"{module}:corr2d", isolate=True, **(given | options))

    yield judge
    sys.path[:] = [p for p in sys.path if p != str(tmp_path)]


@pytest.mark.parametrize("name", DEADLY)
def test_a_death_is_a_violation_of_survives_with_a_small_case(judged, name):
    body, how = DEADLY[name]
    report = judged(name, body)
    deaths = [v for v in report.violations if v.law == "survives"]
    assert [how] == [v.reason for v in deaths]
    assert deaths[0].case.problem.size[0] <= 8
    assert report.exit_code == 1


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_disturbs_is_no_violation_and_disturbs_nothing(judged, name):
    before = Path.cwd()
    report = judged(name, HARMLESS[name], dtypes=("f32",))
    assert (report.exit_code, Path.cwd()) == (0, before)


@pytest.mark.parametrize("name", RAISED)
def test_an_exception_or_garbage_is_named(judged, name):
    body, words = RAISED[name]
    report = judged(name, body, dtypes=("f32",))
    assert any(words in v.reason for v in report.violations)
    assert not [v for v in report.violations if v.law == "survives"]


def test_no_worker_is_left_behind(judged):
    judged("leaves-a-child", HARMLESS["leaves-a-child"], dtypes=("f32",))
    left = [p for p in psutil.Process().children(recursive=True) if "forkserver" not in " ".join(p.cmdline())]
    assert [p for p in left if "resource_tracker" not in " ".join(p.cmdline())] == []


def test_a_mistake_that_comes_and_goes_is_reported_with_its_count(judged):
    body = "globals().__setitem__('n', globals().get('n', 0) + 1)\n        if n % 5 == 3: return right(X, K) + 1"
    (violation,) = judged("now-and-then", body, laws=("definition",), dtypes=("f32",)).violations
    assert 0 <= violation.failed < violation.repeated


def test_two_workers_find_what_one_finds(judged):
    body = "return right(X, K) + 1"
    one, two = (judged("shared", body, dtypes=("f32",), workers=n) for n in (1, 2))
    assert [(r.law, r.judged, r.failed) for r in one.results] == [(r.law, r.judged, r.failed) for r in two.results]
    assert [str(v.case) for v in one.violations] == [str(v.case) for v in two.violations]


@pytest.mark.parametrize(("body", "how"), [("os.abort()", "crashed: SIGABRT"), ("time.sleep(1000)", "no answer in")])
def test_a_target_that_dies_of_every_call_is_reported_and_replayed(tmp_path, monkeypatch, body, how):
    monkeypatch.chdir(tmp_path)
    name = f"deadly_{how.partition(':')[0].replace(' ', '_')}"
    (tmp_path / f"{name}.py").write_text(f"import os, time\ndef corr1d(X, K):\n    {body}\n")
    report = verify(f"{name}:corr1d", isolate=True, profile="smoke", call_timeout=0.3)
    (violation,) = report.violations
    assert (violation.law, violation.reason[: len(how)]) == ("survives", how)
    again = replay(f"{name}:corr1d", str(violation.case), isolate=True, call_timeout=0.3)
    assert again.violation.reason[: len(how)] == how
