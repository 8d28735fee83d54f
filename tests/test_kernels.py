"""The examples that are kernels, in Triton, Numba and C++: each has a right function and one with a planted mistake."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
MODULES = {"cpp_conv": ("torch", "setuptools"), "numba_conv": ("numba",), "triton_conv": ("torch", "triton")}
PROGRAMS = {"cpp_conv": ("c++", "ninja"), "numba_conv": (), "triton_conv": ()}
PLANTED = {
    "cpp_conv:column_major": "kernel transposed: axes 0 and 1 swapped",
    "numba_conv:one_stride": "stride of axis 0 used along every axis",
    "triton_conv:tail_lost": "summed products beyond the last multiple of 16 dropped",
}


@pytest.fixture(scope="session")
def builds(tmp_path_factory):
    """Where extensions are built: once for all of pytest-xdist's workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def python(builds):
    """Run Python on arguments, for an example; skip where what the example needs is missing."""

    def run(example, *arguments):
        lacking = [m for m in MODULES[example] if find_spec(m) is None]
        lacking += [p for p in PROGRAMS[example] if shutil.which(p, path=PATH) is None]
        if lacking:
            pytest.skip(f"{example} needs {' and '.join(lacking)}")
        environment = os.environ | {"PATH": PATH, "TORCH_EXTENSIONS_DIR": str(builds / "extensions"), "COLUMNS": "200"}
        program = [sys.executable, *arguments]
        return subprocess.run(  # noqa: S603
            program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    return run


def has_gpu():
    return find_spec("torch") is not None and importlib.import_module("torch").cuda.is_available()


def judge(python, target):
    """Judge a function by a few cases, in one process: these kernels are interpreted."""
    example = target.partition(":")[0]
    few = ("--no-isolate", "--laws", "definition", "--max-examples", "5", "--dtype", "f32")
    device = ("--device", "cuda") if example == "triton_conv" and has_gpu() else ()
    return python(example, "-m", "convcheck", "run", f"examples.{target}", *few, *device)


@pytest.mark.parametrize("example", MODULES)
def test_the_example_runs_without_a_warning_and_tells_the_two_apart(python, example):
    result = python(example, "-W", "error", f"examples/{example}.py")
    assert (result.returncode, result.stderr) == (0, "")
    first, *_, last = result.stdout.splitlines()
    assert ("agree" in first, "differ" in last) == (True, True)


@pytest.mark.parametrize("example", MODULES)
def test_the_right_kernel_conforms(python, example):
    result = judge(python, f"{example}:conv2d")
    assert (result.returncode, "conforms" in result.stdout) == (0, True)


@pytest.mark.parametrize("target", PLANTED)
def test_the_planted_mistake_is_named(python, target):
    result = judge(python, target)
    assert result.returncode == 1
    assert f"diagnosis   {PLANTED[target]}" in result.stdout
