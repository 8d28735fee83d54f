"""Functions in C that read or write one element past the end of an operand: found where a guarded page follows it."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from convcheck.run import verify

if not sys.platform.startswith("linux"):  # pragma: no cover
    pytest.skip("pages are guarded through Linux's own interfaces", allow_module_level=True)

SOURCE = """
void corr2d(volatile float *x, long rows, long columns, volatile float *k, long h, long w, float *y) {
    for (long p = 0; p <= rows - h; p++)
        for (long q = 0; q <= columns - w; q++) {
            float total = 0;
            for (long i = 0; i < h; i++)
                for (long j = 0; j < w; j++)
                    total += x[(p + i) * columns + q + j] * k[i * w + j];
            *y++ = total;
        }
    PAST
}
"""

TARGET = """
import ctypes
import numpy as np

LIBRARY = ctypes.CDLL({library!r})

def corr2d(X, K):
    rows, columns = (x - k + 1 for x, k in zip(X.shape, K.shape))
    if rows < 1 or columns < 1:
        raise ValueError("the kernel is larger than the input")
    X, K, Y = np.ascontiguousarray(X), np.ascontiguousarray(K), np.empty((rows, columns), np.float32)
    sizes = ([ctypes.c_long(n) for n in array.shape] for array in (X, K))
    inputs = (argument for array, size in zip((X, K), sizes) for argument in (address(array), *size))
    LIBRARY.corr2d(*inputs, address(Y))
    return Y

def address(array):
    return ctypes.c_void_p(array.ctypes.data)
"""

PAST = {
    "read-past-the-input": "float next = x[rows * columns]; (void) next;",
    "read-past-the-kernel": "float next = k[h * w]; (void) next;",
    "write-past-the-input": "x[rows * columns] = 0;",
}


@pytest.fixture
def judged(write_target, tmp_path):
    """Compile the function with a last statement, and judge it in a worker."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")

    def judge(statement):
        source, library = tmp_path / "corr2d.c", tmp_path / "corr2d.so"
        source.write_text(SOURCE.replace("PAST", statement))
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", source, "-o", library], check=True)  # noqa: S603
        target = write_target(source=TARGET.format(library=str(library)))
        return verify(target, isolate=True, laws=("survives", "definition"), profile="smoke", dtypes=("f32",), ndim=2)

    return judge


def test_the_function_conforms_without_such_a_statement(judged):
    assert judged("").exit_code == 0


@pytest.mark.parametrize("name", PAST)
def test_one_element_past_the_end_is_a_crash_with_a_case(judged, name):
    crashes = [v for v in judged(PAST[name]).violations if v.reason == "crashed: SIGSEGV"]
    assert [v.law for v in crashes] == ["survives"]
    assert "/guarded" in str(crashes[0].case)
