"""Importing convcheck is cheap, and torch is optional."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import convcheck

HEAVY = ("torch", "scipy", "hypothesis", "jax", "matplotlib", "pytest", "rich", "click")

WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def python(code):
    """Run code in a process of its own, with warnings as errors; its output."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this very interpreter
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_importing_convcheck_loads_no_heavy_library():
    assert python(f"import sys, convcheck; print([n for n in {HEAVY} if n in sys.modules])") == "[]"


def test_importing_convcheck_loads_not_even_numpy():
    assert python("import sys, convcheck; print('numpy' in sys.modules)") == "False"


def test_problems_and_cases_need_none_of_them_but_numpy():
    code = f"from convcheck import Case, corr2d; import sys; print([n for n in {HEAVY} if n in sys.modules])"
    assert python(code) == "[]"


@pytest.mark.parametrize("name", sorted(set(convcheck.__all__) - {"Conv2D"}))
def test_every_public_name_is_there(name):
    assert getattr(convcheck, name) is not None


def test_the_layer_of_torch_is_there_where_torch_is():
    pytest.importorskip("torch")
    assert convcheck.Conv2D.__name__ == "Conv2D"


def test_strategies_are_a_module():
    assert convcheck.strategies is import_module("convcheck.strategies")


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'convcheck' has no attribute 'corr4d'"):
        convcheck.corr4d  # noqa: B018 - the look-up is the test


def test_dir_lists_the_public_names():
    assert set(convcheck.__all__) <= set(dir(convcheck))


def test_a_function_of_numpy_is_verified_without_torch():
    code = f"""{WITHOUT_TORCH}
import numpy as np
from convcheck import verify
from convcheck.plan import PROFILES

def corr1d(X, K):
    return np.correlate(X, K, "valid")

smoke = PROFILES["smoke"].replace(random=5, certifying=10)
laws = ("definition", "agrees-with-scipy", "agrees-with-torch")
report = verify(corr1d, laws=laws, profile=smoke)
print(report.verdict, [(r.law, r.status, r.reason) for r in report.results if r.reason], "torch" in sys.modules)
"""
    expected = "conforms [('agrees-with-torch', 'not judged', 'torch is not installed')] False"
    assert expected == python(code)


def test_the_adapter_of_torch_without_torch_is_a_usage_error():
    code = f"""{WITHOUT_TORCH}
from convcheck import verify
from convcheck.errors import UsageError

try:
    verify("torch")
except UsageError as error:
    print(error)
"""
    assert python(code).startswith("the adapter 'torch' needs a library that is not installed: No module named 'torch'")


def test_the_layer_of_torch_without_torch_is_an_import_error():
    code = f"""{WITHOUT_TORCH}
import convcheck

try:
    convcheck.Conv2D
except ImportError as error:
    print(error)
"""
    assert "torch" in python(code)


def test_strategies_are_imported_when_they_are_first_used():
    assert python("import convcheck; print(convcheck.strategies.__name__)") == "convcheck.strategies"
