"""What all tests share."""

from __future__ import annotations

import importlib
import signal
import sys
from itertools import count
from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell starts tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = count()

#: a correct correlation of bare arrays, whose lines tests replace by wrong ones
CORRELATION = """
    import numpy as np

    def corr2d(X, K):
        if X.dtype != K.dtype or X.ndim != 2 or K.ndim != 2 or any(k > x for k, x in zip(K.shape, X.shape)):
            raise ValueError(f"no correlation of {X.shape} and {K.shape}")
        rows, columns = (x - k + 1 for x, k in zip(X.shape, K.shape))
        Y = np.zeros((rows, columns), X.dtype)
        for i in range(rows):
            for j in range(columns):
                Y[i, j] = (X[i : i + K.shape[0], j : j + K.shape[1]] * K).sum()
        return Y
"""


@pytest.fixture
def write_target(tmp_path, monkeypatch):
    """Return a function that writes a module and returns the target ``module:corr2d``; it is gone after the test.

    ``write_target()`` is a correct one; ``write_target("* K", "* K[::-1]")`` has a line changed.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def write(old="", new="", source=CORRELATION):
        assert old in source
        name = f"convcheck_target_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(dedent(source).replace(old, new) if old else dedent(source))
        names.append(name)
        importlib.invalidate_caches()
        return f"{name}:corr2d"

    yield write
    for name in names:
        sys.modules.pop(name, None)
