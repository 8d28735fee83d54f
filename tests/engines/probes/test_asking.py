"""Questions to a target: whatever it answers, only the process that asked goes on."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from convcheck.engines.wrap import wrap

if not sys.platform.startswith("linux"):  # pragma: no cover
    pytest.skip("there is fork elsewhere, too, but workers are Linux's", allow_module_level=True)

FORKING = """
import os
import numpy as np
from convcheck.engines.wrap import wrap
calls = 0

def corr1d(X, K):
    global calls
    calls += 1
    if calls == 3:
        os.fork()
    return np.correlate(X, K, "valid")

wrap(corr1d, ndim=1)
print("done", flush=True)
"""


def test_the_child_of_a_target_that_forks_and_returns_asks_nothing_more():
    assert subprocess.check_output([sys.executable, "-c", FORKING], text=True, timeout=100) == "done\n"  # noqa: S603


NO_ANSWER = "no probe came back with an array: arrays of (5,) and (2,), as below, met "


@pytest.mark.parametrize(
    ("dtype", "name"), [("O", "object"), ("M8[s]", "datetime64[s]"), ("U3", "<U3"), ("i4,f4", np.dtype("i4,f4"))]
)
def test_an_array_of_what_is_no_number_is_no_answer(dtype, name):
    engine = wrap(lambda X, K: np.zeros(X.size - K.size + 1, dtype), ndim=1)
    reason = f"TypeError: returned an array of {name}, which are no numbers that can be judged"
    assert NO_ANSWER + reason in engine.notes


def test_a_target_that_forbids_floating_point_errors_is_asked_all_the_same():
    def forbidding(X, K):
        np.seterr(all="raise")
        return np.correlate(X, K, "valid")

    with np.errstate():
        assert wrap(forbidding, ndim=1).capabilities.ndims == (1,)
        assert np.geterr()["divide"] != "raise"
