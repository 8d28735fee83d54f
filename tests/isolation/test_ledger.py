"""The ledger's clock: it runs while the target does, and stands while torch compiles."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace

import pytest

from convcheck.isolation.ledger import COMPILER, Ledger


@pytest.fixture
def ledger():
    made = Ledger()
    yield made
    made.remove()


@pytest.fixture
def compiler(monkeypatch):
    """A stand-in for torch's compiler: what it calls when it starts and ends."""
    told = {}
    handler = SimpleNamespace(
        register_start_callback=lambda call: told.update(start=call),
        register_end_callback=lambda call: told.update(end=call),
    )
    monkeypatch.setitem(sys.modules, COMPILER, SimpleNamespace(callback_handler=handler))
    return told


def test_the_clock_runs_while_the_target_is_called(ledger):
    ledger.write("a case", 3)
    during = ledger.timed(ledger.read)()
    after = ledger.read()
    assert (during.since > 0, during.number, during.line, after.since < 0) == (True, 3, "a case", True)


def test_the_clock_stands_while_torch_compiles(ledger, compiler):
    ledger.write("a case", 0)

    def call():
        compiler["start"]("its arguments")
        compiling = ledger.read().since
        compiler["end"]("its arguments")
        return compiling, ledger.read().since > 0

    compiling, running = ledger.timed(call)()
    assert (compiling < 0, running) == (True, True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, when its compiler is imported
def test_torch_s_compiler_tells_when_it_works():
    callback = pytest.importorskip("torch._dynamo.callback")
    handler = callback.callback_handler
    assert callable(handler.register_start_callback)
    assert callable(handler.register_end_callback)


def test_memory_that_ran_out_is_on_the_ledger_until_the_next_case(ledger):
    ledger.write("a case", 0)
    ledger.write_full()
    full = ledger.read().full
    ledger.write("another case", 1)
    assert (full, ledger.read().full) == (True, False)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
def test_a_timer_that_a_target_leaves_is_stopped(ledger):
    ledger.timed(lambda: signal.setitimer(signal.ITIMER_REAL, 1000))()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
