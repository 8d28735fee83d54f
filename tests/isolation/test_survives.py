"""Targets that crash, hang, exit or disturb: each is named, with its case, and the run ends by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from convcheck.errors import UsageError
from convcheck.isolation.supervisor import Limits, Supervisor
from convcheck.plan import Profile
from convcheck.replay import replay
from convcheck.run import verify

if not sys.platform.startswith("linux"):  # pragma: no cover
    pytest.skip("worker processes are watched through Linux's own interfaces", allow_module_level=True)

FEW = Profile("few", pairs=False, triples=False, random=4, certifying=8, search=0, shrink_seconds=0.5)
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
    "exit-with-any-status": ("os._exit(93)", "ended itself with status 93"),
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
    "raises-on-floating-point-errors": "np.seterr(all='raise')",
    "leaves-a-timer": "signal.setitimer(signal.ITIMER_REAL, 0.05)",
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
    "objects": ("return right(X, K).astype(object)", "returned an array of object, which are no numbers"),
    "dates": ("return right(X, K).astype('M8[s]')", "returned an array of datetime64[s], which are no numbers"),
    "records": ("return np.zeros(right(X, K).shape, 'i4,f4')", "which are no numbers"),
    "letters-that-cannot-be-shown": ("raise ValueError('\\ud800\\x1b')", "raised ValueError: \\ud800\\x1b"),
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


def is_descendant(process):
    """Whether a process descends from this one, and has not ended."""
    with suppress(psutil.Error):
        return os.getpid() in [p.pid for p in process.parents()] and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_no_worker_is_left_behind(judged):
    judged("leaves-a-child", HARMLESS["leaves-a-child"], dtypes=("f32",))
    lines = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"]) if is_descendant(p)]
    assert [line for line in lines if line and "forkserver" not in line and "resource_tracker" not in line] == []


def test_a_mistake_that_comes_and_goes_is_reported_with_its_count(judged):
    body = "globals().__setitem__('n', globals().get('n', 0) + 1)\n        if n % 5 == 3: return right(X, K) + 1"
    (violation,) = judged("now-and-then", body, laws=("definition",), dtypes=("f32",)).violations
    assert 0 <= violation.failed < violation.repeated


@pytest.mark.parametrize("first", [False, True])
def test_two_workers_find_what_one_finds(judged, first):
    body = "return right(X, K) + 1"
    options = {"dtypes": ("f32",), "profile": "gate", "stop_at_first": first}
    one, two = (judged("shared", body, workers=n, **options) for n in (1, 2))
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


@pytest.mark.parametrize("kind", ["object", "str", "'M8[s]'", "'V8'", "bool", "complex", "'longdouble'"])
def test_results_of_any_type_end_no_run(judged, kind):
    name = "any-type-" + "".join(filter(str.isalnum, kind))
    report = judged(name, f"return np.zeros(right(X, K).shape, {kind})", laws=(), dtypes=("f32",), profile=FEW)
    assert (report.exit_code, [v.law for v in report.violations if "could not go on" in v.reason]) == (1, [])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("numpy-is-changed", "np.asarray = np.array_equal = np.abs = np.where = None"),
        ("clock-is-stopped", "time.monotonic = None"),
        ("numpy-is-emptied", "np.__dict__.clear()"),
        ("directory-is-removed", "os.mkdir(MARK); os.chdir(MARK); os.rmdir(MARK)"),
        ("streams-are-closed", "os.closerange(0, 3)"),
        ("timer-raises", "signal.signal(signal.SIGALRM, lambda *_: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 1e-4)"),
    ],
)
def test_what_breaks_convcheck_s_own_code_ends_no_run(judged, name, body):
    report = judged(name, body, laws=("definition", "leaves-no-trace"), dtypes=("f32",))
    assert report.exit_code in (0, 1)


def test_what_only_other_calls_bring_about_is_told(judged):
    body = "sys.calls = getattr(sys, 'calls', 0) + 1; return right(X, K) + (sys.calls > 30)"
    report = judged("counts-its-calls", body, laws=("definition",), dtypes=("f32",))
    (found,) = report.violations
    assert (found.failed, found.repeated) == (0, 20)


def test_a_target_that_closes_the_connection_is_a_violation(judged):
    report = judged("closes-all", "os.closerange(3, 256)", laws=("definition",), dtypes=("f32",), profile=FEW)
    assert [v.law for v in report.violations] == ["survives"]


def test_convcheck_s_own_mistake_is_shown_with_its_place(judged):
    body = "import convcheck.examine; convcheck.examine.judge = None; return right(X, K)"
    (violation,) = judged("breaks-the-judge", body, laws=("definition",), dtypes=("f32",)).violations
    assert (violation.law, violation.reason[:44]) == ("survives", "convcheck could not go on: TypeError: 'NoneT")
    assert "(examine.py, line" in violation.reason


def test_what_hangs_convcheck_s_own_code_ends_no_run(judged, monkeypatch):
    monkeypatch.setattr("convcheck.isolation.supervisor.BETWEEN_SECONDS", 1.0)
    body = "import convcheck.examine; convcheck.examine.judge = lambda *_: time.sleep(1000); return right(X, K)"
    report = judged("hangs-the-judge", body, laws=("definition",), dtypes=("f32",), profile=FEW)
    assert [v.reason for v in report.violations] == ["no answer in 1 s"]


def test_a_target_that_hangs_is_given_up(judged, monkeypatch):
    monkeypatch.setattr("convcheck.isolation.backend.ENOUGH_HANGS", 2)
    options = {"laws": (), "call_timeout": 0.3, "dtypes": ("f32",), "profile": FEW}
    report = judged("hangs-again-and-again", "while True: pass", **options)
    given_up = [r.law for r in report.results if r.reason == "given up: the target hangs (see survives)"]
    assert (report.exit_code, len(given_up) > 10) == (1, True)


@pytest.mark.parametrize("module", ["while True: pass", "import time; time.sleep(1000)"])
def test_a_module_that_hangs_while_it_is_imported_is_an_error(tmp_path, module):
    (tmp_path / "hangs.py").write_text(f"{module}\n")
    program = """
import psutil
from convcheck.errors import UsageError
from convcheck.isolation import supervisor
from convcheck.run import verify
supervisor.IMPORT_SECONDS = 3.0
try:
    verify("hangs:corr2d", isolate=True, call_timeout=0.5)
except UsageError as error:
    print(error)
living = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
print([p.cmdline() for p in living if "resource_tracker" not in " ".join(p.cmdline())])
"""
    output = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True, timeout=100)  # noqa: S603
    assert output.splitlines() == ["the target does not survive being imported: no answer in 3 s", "[]"]


def test_a_module_that_hangs_in_a_worker_alone_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("convcheck.isolation.supervisor.IMPORT_SECONDS", 1.0)
    (tmp_path / "hangs_in_a_worker.py").write_text("import time\ntime.sleep(1000)\n")
    verify("scipy", isolate=True, laws=("definition",), profile=FEW)  # the fork server is there, and imports no more
    with pytest.raises(UsageError, match="does not survive being imported: no answer in 1 s"):
        verify("hangs_in_a_worker:corr2d", isolate=True, call_timeout=0.5)


def test_no_file_is_left_behind(judged, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with Supervisor(1, Limits()) as supervisor:
        supervisor._worker(0)
        assert [path for path in place.iterdir() if "pymp" not in path.name] == []
