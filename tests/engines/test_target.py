"""Targets by name: found from the current directory too, and errors that show what is wrong."""

from __future__ import annotations

import signal
import sys

import pytest

from convcheck.engines import engine_of
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.engines.target import load
from convcheck.errors import UsageError

MODULE = """
import numpy as np

class ops:
    @staticmethod
    def corr1d(X, K):
        return np.correlate(X, K, "valid")

number = 3
"""

UNPRINTABLE = """
class HostileError(Exception):
    def __str__(self):
        raise ValueError

raise HostileError
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current directory with modules of names that nothing else has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mine_to_load.py").write_text(MODULE)
    (tmp_path / "broken_to_load.py").write_text("raise RuntimeError('no luck')")
    (tmp_path / "exiting_to_load.py").write_text("raise SystemExit(2)")
    (tmp_path / "interrupted_to_load.py").write_text("raise KeyboardInterrupt")
    (tmp_path / "unprintable_to_load.py").write_text(UNPRINTABLE)
    (tmp_path / "refusing_to_load.py").write_text("def __getattr__(name):\n    raise RuntimeError('not ' + name)\n")
    yield tmp_path
    for name in ("mine", "broken", "exiting", "interrupted", "unprintable", "refusing"):
        sys.modules.pop(f"{name}_to_load", None)


def test_an_attribute_of_a_module_in_the_current_directory_is_found(here):
    assert load("mine_to_load:number") == 3


def test_an_attribute_of_an_attribute_is_found(here):
    assert load("mine_to_load:ops.corr1d").__name__ == "corr1d"


def test_an_installed_module_is_found():
    assert load("math:pi") > 3


@pytest.mark.parametrize("target", ["mine_to_load", ":number", "mine_to_load:", ":"])
def test_another_form_is_an_error_that_shows_it(target):
    with pytest.raises(UsageError, match=rf"the target '{target}' is not of the form package.module:attribute"):
        load(target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("mine_to_laod:number", "cannot import 'mine_to_laod': ModuleNotFoundError: No module named 'mine_to_laod'"),
        ("broken_to_load:number", "cannot import 'broken_to_load': RuntimeError: no luck"),
        ("exiting_to_load:number", "cannot import 'exiting_to_load': SystemExit: 2"),
        ("unprintable_to_load:number", "cannot import 'unprintable_to_load': HostileError: .an exception that cannot"),
        ("refusing_to_load:it", "'refusing_to_load' gives no attribute 'it': RuntimeError: not it"),
        ("mine_to_load:numbre", r"'mine_to_load' has no attribute 'numbre'; did you mean 'number'\?"),
        ("mine_to_load:ops.corr1", r"'mine_to_load' has no attribute 'ops.corr1'; did you mean 'corr1d'\?"),
        ("mine_to_load:zzzzzz", "'mine_to_load' has no attribute 'zzzzzz'$"),
    ],
)
def test_what_cannot_be_loaded_is_shown_with_its_reason(here, target, message):
    with pytest.raises(UsageError, match=message):
        load(target)


def test_an_interrupt_while_importing_is_passed_on(here):
    with pytest.raises(KeyboardInterrupt):
        load("interrupted_to_load:number")


def test_an_interrupt_of_the_module_s_own_in_a_worker_is_shown(here):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as workers do
    try:
        with pytest.raises(UsageError, match="cannot import 'interrupted_to_load': KeyboardInterrupt"):
            load("interrupted_to_load:number")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_working_directory_that_is_gone_is_not_searched(here, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load("math:pi") > 3


def test_a_target_by_name_becomes_an_engine_of_that_name(here):
    engine = engine_of("mine_to_load:ops.corr1d")
    assert (engine.name, engine.capabilities.ndims) == ("mine_to_load:ops.corr1d", (1,))


def test_what_is_no_function_is_no_target(here):
    with pytest.raises(UsageError, match="mine_to_load:number is not a function: 3 is not a callable object"):
        engine_of("mine_to_load:number")


def test_an_engine_is_taken_as_it_is():
    engine = Engine("mine", Capabilities((1,), ("f32",)), lambda *_: None)
    assert engine_of(engine) is engine


def test_an_engine_by_name_is_taken_as_it_is(here):
    (here / "mine_to_load.py").write_text(
        "from convcheck.engines.base import Capabilities, Engine\n"
        "engine = Engine('theirs', Capabilities((1,), ('f32',)), lambda *_: None)\n"
    )
    assert engine_of("mine_to_load:engine").name == "theirs"


def test_a_name_without_a_colon_is_an_adapter_s():
    with pytest.raises(
        UsageError,
        match=r"the target 'tensorflow' is neither package.module:attribute nor an adapter \(torch, scipy\)",
    ):
        engine_of("tensorflow")
