"""The command line: what it prints, and every exit code."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError
from io import StringIO
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from rich.console import Console

from convcheck.cases import Case
from convcheck.cli import cli
from convcheck.cli.progress import Watch
from convcheck.laws import LAWS
from convcheck.run import Progress
from convcheck.tally import Tally

from .report.examples import report

QUICK = ["--profile", "smoke", "--laws", "definition,output-size", "--no-isolate", "--shrink-time", "2"]
FLIPPED = ("* K)", "* K[::-1, ::-1])")


@pytest.fixture
def convcheck(monkeypatch):
    """Return a function that runs a command in this process."""
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*words):
        return CliRunner().invoke(cli, [str(word) for word in words], prog_name="convcheck")

    return run


def in_a_process(*words, **options):
    program = [sys.executable, "-W", "error", "-m", "convcheck", *map(str, words)]
    return subprocess.Popen(  # noqa: S603
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


# -- exit codes ----------------------------------------------------------------------------------------------


def test_a_correct_target_exits_with_0(convcheck, write_target):
    result = convcheck("run", write_target(), *QUICK)
    assert (result.exit_code, "conforms: all 2 laws" in result.stdout) == (0, True)


def test_a_broken_target_exits_with_1(convcheck, write_target):
    assert convcheck("run", write_target(*FLIPPED), *QUICK).exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "Missing argument 'TARGET'"),
        (["run", "nothing"], "'nothing' is neither package.module:attribute nor an adapter"),
        (["run", "no_such_module:f", *QUICK], "cannot import 'no_such_module'"),
        (["run", "math:sinn", *QUICK], "did you mean 'sin"),
        (["run", "math:sin", "--laws", "definitoin"], "did you mean 'definition'?"),
        (["run", "math:sin", "--dtype", "f31"], "no dtype is called 'f31'; there are f64, f32"),
        (["run", "math:sin", "--dtype", "float32"], "no dtype is called 'float32' (that is f32)"),
        (["run", "math:sin", "--dtype", "f32,,f64"], "'f32,,f64' has an empty name"),
        (["run", "math:sin", "--laws", ""], "'' has an empty name"),
        (["run", "math.sin:"], "is not of the form package.module:attribute"),
        (["run", "./ops.py:conv2d"], "'./ops.py' is a file, and a module is meant: from its directory, ops:conv2d"),
        (["run", "math:sin", "--ndim", "4"], "4 is not in the range 1<=x<=3"),
        (["run", "math:sin", "--profile", "quick"], "'quick' is not one of 'smoke', 'gate', 'nightly'"),
        (["run", "math:sin", "-n", "2", "--no-isolate"], "not in -n 2 workers"),
        (["run", "math:sin", "-n", "few"], "'few' is neither a positive number nor 'auto'"),
        (["run", "math:sin", "-n", "²"], "'²' is neither a positive number nor 'auto'"),
        (["run", "math:sin", "--max-time", "0"], "0.0 is not in the range x>0"),
        (["run", "math:sin", "--max-time", "nan"], "'nan' is no number of seconds"),
        (["run", "math:sin", "--call-timeout", "nan"], "'nan' is no number of seconds"),
        (["run", "math:sin", "--memory-limit", "1"], "no call can do with less than 64"),
        (["run", "math:sin", "--memory-limit", "9" * 20], "is not in the range 0<=x<=1048576"),
        (["run", "math:sin", "--max-examples", "1000001"], "is not in the range 1<=x<=1000000"),
        (["run", "math:sin", "--laws", "mass", "--exclude-laws", "mass"], "no law is left of mass without mass"),
        (["selftest", "-n", "x"], "'x' is neither a positive number nor 'auto'"),
        (["selftest", "-n", "0"], "'0' is neither a positive number nor 'auto'"),
        (["selftest", "-n", "-1"], "'-1' is neither a positive number nor 'auto'"),
        (["run", "math:sin", "--json", ""], "is a directory"),
        (["run", "math:sin", "--json", "/proc/x.json"], "/proc is no directory that can be written to"),
        (["run", "math:sin", "--json", "/dev/zero"], "/dev/zero is no file that can be written"),
        (["diagnose", "math:sin", "--problem", "i99999999999999999999x3 k1x1"], "too large to be judged"),
        (["run", "math:sin", "--json", "no/such/directory/r.json"], "no/such/directory is no directory"),
        (["replay", "math:sin", "definition f32 i3x3"], "lacks kernel"),
        (["replay", "math:sin", "definition i3 k2 n0 x=ramp w=ramp g0"], "has a zero"),
        (["replay", "math:sin", "definitoin i3 k2 x=ramp w=ramp"], "did you mean 'definition'?"),
        (["replay", "math:sin", "garbage"], "'garbage' is no case, which has a law, a problem and operands"),
        (["explain", "FLIP_RELATES"], "did you mean 'flip-relates'?"),
        (["explain", "flip-relate"], "did you mean 'flip-relates'?"),
        (["diagnose", "math:sin", "--problem", "i3"], "lacks kernel"),
        (["diagnose", "math:sin", "--problem", "i3 k2 g0"], "has a zero"),
    ],
)
def test_what_a_user_can_put_right_exits_with_2_and_shows_it(convcheck, words, message):
    result = convcheck(*words)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_a_target_that_takes_nothing_exits_with_3(convcheck, write_target):
    source = "def corr2d(X, K):\n    raise NotImplementedError('never')\n"
    result = convcheck("run", write_target(source=source), *QUICK)
    assert (result.exit_code, "No verdict" in result.stdout) == (3, True)


def test_a_directory_that_is_gone_exits_with_2(convcheck, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = convcheck("laws")
    assert (result.exit_code, "the working directory is gone" in result.stderr) == (2, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_exits_with_2():
    command = [sys.executable, "-m", "convcheck", "laws"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(  # noqa: S603
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )
    assert (result.returncode, "No space left on device" in result.stderr) == (2, True)


def test_a_terminal_without_columns_is_written_to(convcheck, write_target, monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    result = convcheck("run", write_target("* K", "* K[::-1]"), *QUICK)
    assert (result.exit_code, "VIOLATED: definition" in result.stdout) == (1, True)


def test_an_error_of_our_own_exits_with_70_and_says_how_to_report_it(convcheck, monkeypatch):
    monkeypatch.setattr("convcheck.run.verify", lambda *_, **__: 1 / 0)
    result = convcheck("run", "math:sin")
    assert result.exit_code == 70
    for part in ("ZeroDivisionError", "mistake in convcheck", "Please report it", "numpy"):
        assert part in result.stderr


INTERRUPTED = """
    import os, signal
    import numpy as np
    calls = 0

    def corr2d(X, K):
        global calls
        calls += 1
        if calls > 200:  # more than probes make
            os.kill(os.getpid(), signal.{signal})
        rows, columns = (x - k + 1 for x, k in zip(X.shape, K.shape))
        return np.array([[(X[i:i + K.shape[0], j:j + K.shape[1]] * K).sum() for j in range(columns)]
                         for i in range(rows)], X.dtype).reshape(rows, columns)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_run_prints_what_is_known_and_exits_with_130(convcheck, write_target, tmp_path, name):
    target = write_target(source=INTERRUPTED.format(signal=name))
    result = convcheck("run", target, *QUICK, "--json", tmp_path / "r.json")
    assert (result.exit_code, "Interrupted: what is known" in result.stdout) == (130, True)
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "interrupted"


def test_an_interruption_before_any_case_exits_with_130(convcheck, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("convcheck.run.verify", interrupted)
    result = convcheck("run", "math:sin")
    assert (result.exit_code, result.stderr.strip()) == (130, "Interrupted.")


SLOW = """
    import pathlib, time
    import numpy as np
    calls = 0

    def corr2d(X, K):
        global calls
        calls += 1
        if calls > 150:
            pathlib.Path("{mark}").touch()
            time.sleep(0.05)
        return np.zeros([x - k + 1 for x, k in zip(X.shape, K.shape)], X.dtype)
"""


def test_ctrl_c_on_a_process_exits_with_130(write_target, tmp_path):
    mark = tmp_path / "judging"
    target = write_target(source=SLOW.format(mark=mark.as_posix()))
    process = in_a_process("run", target, "--laws", "output-size", "--max-examples", "100000", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, "Interrupted" in output) == (130, True)


@pytest.mark.parametrize(("change", "code"), [((), 0), (FLIPPED, 1)])
def test_a_process_ends_with_the_exit_code_and_in_plain_text(write_target, tmp_path, change, code):
    process = in_a_process("run", write_target(*change), *QUICK, cwd=tmp_path)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (code, "")
    assert "\x1b" not in output


def test_a_reader_that_goes_away_does_not_change_the_exit_code(write_target, tmp_path):
    process = in_a_process("run", write_target(*FLIPPED), *QUICK, cwd=tmp_path)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=120), errors) == (1, "")


# -- run -----------------------------------------------------------------------------------------------------


def test_the_report_begins_with_what_was_inferred(convcheck, write_target):
    target = write_target()
    lines = convcheck("run", target, *QUICK).stdout.splitlines()
    assert lines[0] == target
    assert any("inferred    arrays: numpy" in line for line in lines[:5])


def test_the_replay_command_fails_on_the_broken_target_and_passes_on_a_correct_one(convcheck, write_target):
    broken, correct = write_target(*FLIPPED), write_target()
    output = convcheck("run", broken, *QUICK, "--dtype", "f64").stdout
    command = next(line for line in output.splitlines() if line.startswith("  replay")).split(None, 1)[1]
    words = shlex.split(command)
    assert words[:3] == ["convcheck", "replay", broken]
    assert words[-3:] == ["--dtype", "f64", "--no-isolate"]
    codes = [convcheck("replay", target, *words[3:]).exit_code for target in (broken, correct)]
    assert codes == [1, 0]


def test_x_stops_at_the_first_violation(convcheck, write_target):
    options = [*QUICK, "--laws", "definition,accuracy,flip-relates"]
    output = convcheck("run", write_target(*FLIPPED), "-x", *options).stdout
    assert output.count("VIOLATED: ") == 1
    assert "  VIOLATED  accuracy" not in output


def test_excluded_laws_are_not_judged(convcheck, write_target):
    output = convcheck("run", write_target(), *QUICK, "--exclude-laws", "output-size").stdout
    assert "the one law that was judged holds" in output


def test_max_examples_is_the_number_of_cases_of_a_law(convcheck, write_target, tmp_path):
    file = tmp_path / "report.json"
    convcheck("run", write_target(), *QUICK, "--profile", "gate", "--max-examples", "12", "--json", file)
    assert [law["judged"] for law in json.loads(file.read_text())["laws"]] == [12, 12]


STRIDED = """
    import numpy as np

    def corr2d(x, w, stride=1, padding=0):
        s, p = ((v, v) if isinstance(v, int) else tuple(v) for v in (stride, padding))
        x = np.pad(x, ((0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])))
        v = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))[:, :, :: s[0], :: s[1]]
        return np.einsum("nchwij,ocij->nohw", v, w)
"""


def test_max_examples_adds_no_layers_of_networks(convcheck, write_target, tmp_path):
    file, target = tmp_path / "report.json", write_target(source=STRIDED)
    convcheck("run", target, *QUICK, "--laws", "definition", "--max-examples", "3", "--json", file)
    assert [law["judged"] for law in json.loads(file.read_text())["laws"]] == [3]


def test_a_report_that_cannot_be_written_is_printed_all_the_same(convcheck, write_target, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("convcheck.report.document.write", full)
    result = convcheck("run", write_target(), *QUICK, "--json", tmp_path / "r.json")
    assert (result.exit_code, "conforms: all 2 laws" in result.stdout) == (2, True)
    assert "the report cannot be written to" in result.stderr


def test_max_time_bounds_a_run(convcheck, write_target, tmp_path):
    file = tmp_path / "report.json"
    convcheck("run", write_target(), *QUICK, "--profile", "nightly", "--max-time", "0.5", "--json", file)
    assert json.loads(file.read_text())["seconds"] < 20


def test_the_same_seed_gives_the_same_report(convcheck, write_target, tmp_path):
    target, reports = write_target(*FLIPPED), []
    for name in ("a.json", "b.json"):
        convcheck("run", target, *QUICK, "--seed", "7", "--json", tmp_path / name)
        reports.append(without_times(json.loads((tmp_path / name).read_text())))
    assert reports[0] == reports[1]


def without_times(value):
    if isinstance(value, dict):
        return {name: without_times(item) for name, item in value.items() if name != "seconds"}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def test_the_json_report_says_what_the_options_were(convcheck, write_target, tmp_path):
    file = tmp_path / "report.json"
    convcheck("run", write_target(), *QUICK, "--seed", "3", "-n", "1", "--json", file)
    options = json.loads(file.read_text())["options"]
    assert (options["seed"], options["laws"], "workers" in options) == (3, ["definition", "output-size"], False)


def test_a_run_that_ends_with_an_error_leaves_the_old_report_alone(convcheck, tmp_path):
    file = tmp_path / "report.json"
    file.write_text("old")
    convcheck("run", "no_such_module:f", "--json", file)
    assert file.read_text() == "old"


DEADLY = """
    import os
    import numpy as np

    def corr2d(X, K):
        if K.shape[1] == 2:
            os._exit(0)
        if X.dtype != K.dtype or any(k > x for k, x in zip(K.shape, X.shape)):
            raise ValueError("no")
        rows, columns = (x - k + 1 for x, k in zip(X.shape, K.shape))
        Y = np.zeros((rows, columns), X.dtype)
        for i, j in np.ndindex(rows, columns):
            Y[i, j] = (X[i:i + K.shape[0], j:j + K.shape[1]] * K).sum()
        return Y
"""


def test_a_target_that_ends_the_process_is_a_violation_with_a_case_that_replays(convcheck, write_target):
    target = write_target(source=DEADLY)
    options = ["--profile", "smoke", "--laws", "output-size", "--shrink-time", "2"]
    result = convcheck("run", target, *options)
    assert (result.exit_code, "VIOLATED: survives" in result.stdout) == (1, True), result.output
    command = next(line for line in result.stdout.splitlines() if line.startswith("  replay"))
    result = convcheck(*shlex.split(command)[2:])
    assert (result.exit_code, "ended itself with status 0" in result.stdout) == (1, True), result.output


def test_several_workers_give_the_same_report_as_one(convcheck, write_target, tmp_path):
    target, reports = write_target(*FLIPPED), []
    options = ["--profile", "smoke", "--laws", "definition,accuracy,mirrors", "--shrink-time", "30"]
    for workers in (1, 2):
        file = tmp_path / f"{workers}.json"
        convcheck("run", target, *options, "-n", workers, "--json", file)
        reports.append(without_times(json.loads(file.read_text())))
    assert reports[0] == reports[1]


# -- progress ------------------------------------------------------------------------------------------------


def steps():
    """Two laws, of which the first is violated, in two steps each."""
    case = Case.parse(CASE)
    for law, failures in (("definition", [case]), ("accuracy", [])):
        for done in (1, 2):
            yield Progress(law, done, 2, Tally(judged=10 * done, failures=failures))


def watched(**options):
    console = Console(file=StringIO(), width=100, **options)
    with Watch(console, 2) as watch:
        for step in steps():
            watch.step(step)
    return console.file.getvalue()


def test_a_terminal_shows_how_far_a_run_is():
    assert "accuracy, law 2 of 2, 40 cases, 1 violated" in watched(force_terminal=True)


def test_a_pipe_is_told_nothing_of_a_quick_run():
    assert watched() == ""


def test_a_pipe_is_told_now_and_then(monkeypatch):
    monkeypatch.setattr("convcheck.cli.progress.SPARSE", 0)
    lines = watched().splitlines()
    assert (len(lines), lines[0]) == (4, "definition, law 1 of 2, 10 cases, 1 violated")


def test_a_run_need_not_be_in_the_main_thread(convcheck, write_target):
    target, codes = write_target(), []
    thread = threading.Thread(target=lambda: codes.append(convcheck("run", target, *QUICK).exit_code))
    thread.start()
    thread.join()
    assert codes == [0]


def test_auto_is_as_many_workers_as_there_are_cpus(convcheck, monkeypatch):
    asked = []
    monkeypatch.setattr("convcheck.run.verify", lambda *_, workers, **__: asked.append(workers) or report())
    convcheck("run", "math:sin", "-n", "auto")
    assert 1 <= asked[0] <= os.cpu_count()


# -- replay, diagnose, and the book ------------------------------------------------------------------------------

CASE = "definition f32 n1 g1 c1 o1 i2x1 k2x1 s1x1 p0x0 d1x1 x=impulse@0,0,1,0 w=impulse@0,0,1,0"


def test_replay_says_that_a_case_still_fails(convcheck, write_target):
    result = convcheck("replay", write_target(*FLIPPED), CASE, "--no-isolate")
    assert result.exit_code == 1
    assert "Still fails." in result.stdout
    assert "x   w   expected   got" in result.stdout


def test_replay_says_that_a_case_passes(convcheck, write_target):
    result = convcheck("replay", write_target(), CASE, "--no-isolate")
    assert (result.exit_code, result.stdout) == (0, f"Passes, 20 times: {CASE}\n")


def test_replay_exits_with_3_where_the_target_does_not_take_the_case(convcheck, write_target):
    result = convcheck("replay", write_target(), CASE.replace("s1x1", "s2x2"), "--no-isolate")
    assert (result.exit_code, "does not take stride" in result.stdout) == (3, True)


def test_replay_counts_how_often_a_case_fails(convcheck, write_target):
    source = dedent("""
        import numpy as np
        calls = 0

        def corr2d(X, K):
            global calls
            calls += 1
            rows, columns = (x - k + 1 for x, k in zip(X.shape, K.shape))
            Y = np.zeros((rows, columns), X.dtype)
            for i, j in np.ndindex(rows, columns):
                Y[i, j] = (X[i:i + K.shape[0], j:j + K.shape[1]] * K).sum() + (calls % 4 == 0)
            return Y
    """)
    result = convcheck("replay", write_target(source=source), CASE, "--no-isolate")
    assert (result.exit_code, "fails 5 of 20 repetitions" in result.stdout) == (1, True)


def test_diagnose_says_what_a_target_computes(convcheck, write_target):
    result = convcheck("diagnose", write_target(*FLIPPED))
    assert (result.exit_code, "kernel flipped" in result.stdout) == (0, True)


@pytest.mark.parametrize("line", ["i99999999999999999999x3 k1x1", "i100000x100000 k1x1", "i2x2 k1x1 p999999999x0"])
def test_what_is_too_large_to_be_judged_is_not(convcheck, write_target, line):
    source = "def corr2d(X, K, padding=0):\n    return X\n"
    target, case = write_target(source=source), f"definition f32 {line} x=ones w=ones"
    result = convcheck("replay", target, case, "--no-isolate", "--style", "bare", "--ndim", "2")
    assert (result.exit_code, "Not judged: too large to be judged" in result.output) == (3, True), result.output


def test_diagnose_says_of_which_element_type_it_speaks(convcheck, write_target):
    change = ("return Y", "return Y if X.dtype != np.int16 else Y + 1")
    result = convcheck("diagnose", write_target(*change), "--no-isolate", "--dtype", "f64,i16,i8")
    assert "forward, 2 spatial axes, i16: " in result.stdout
    result = convcheck("diagnose", write_target(), "--no-isolate", "--dtype", "f64,i16")
    assert result.stdout == "forward, 2 spatial axes, f64, i16: no difference found\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [("__import__('os').abort()", "crashed: SIGABRT on "), ("all(iter(lambda: 1, 0))", "no answer in 0.5 s on ")],
)
def test_diagnose_survives_what_a_target_does(convcheck, write_target, body, words):
    target = write_target("rows, columns = ", f"X.shape == (5, 6) and {body}\n    rows, columns = ")
    result = convcheck("diagnose", target, "--call-timeout", "0.5", "--dtype", "f32")
    assert (result.exit_code, words in result.stdout) == (0, True), result.output


def test_diagnose_says_that_a_target_dies_of_every_call(convcheck, write_target):
    target = write_target(source="import os\ndef corr2d(X, K):\n    os.abort()\n")
    result = convcheck("diagnose", target)
    assert (result.exit_code, result.stdout) == (0, "does not survive being called: crashed: SIGABRT\n")


def test_diagnose_looks_near_a_problem_that_it_is_given(convcheck, write_target):
    result = convcheck("diagnose", write_target(*FLIPPED), "--problem", CASE)
    assert (result.exit_code, "kernel flipped" in result.stdout) == (0, True)


def test_laws_lists_every_law_with_its_equation(convcheck):
    output = convcheck("laws").stdout
    for law in LAWS:
        assert f"  {law.name} " in output
        assert law.equation in output


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_explain_shows_the_whole_text_of_a_law(convcheck, law):
    result = convcheck("explain", law.name)
    assert (result.exit_code, law.text in result.stdout) == (0, True)


def test_engines_says_what_can_be_imported(convcheck, monkeypatch):
    monkeypatch.setattr("convcheck.cli.book.find_spec", lambda name: None if name == "jax" else object())
    output = convcheck("engines").stdout
    assert "jax     not installed" in output
    assert f"scipy   {__import__('scipy').__version__}" in output


def test_a_library_without_metadata_is_installed_all_the_same(convcheck, monkeypatch):
    def unknown(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("convcheck.cli.book.version", unknown)
    assert "numpy   installed, of unknown version" in convcheck("engines").stdout


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = "import sys, convcheck.cli; print({'numpy', 'scipy', 'hypothesis', 'torch', 'rich'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout == "set()\n"
