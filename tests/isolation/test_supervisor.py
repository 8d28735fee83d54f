"""What a supervisor counts as a hang."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from convcheck.isolation import supervisor
from convcheck.isolation.ledger import Entry
from convcheck.isolation.supervisor import Limits


@pytest.fixture
def worker():
    """A worker whose call has been under way for 5 seconds."""
    made = supervisor._Worker.__new__(supervisor._Worker)
    entry = Entry(time.monotonic() - 5, 0, "a case")
    made.ledger, made.process = SimpleNamespace(read=lambda: entry), SimpleNamespace(pid=0)
    made._verdict, made._call, made.kill = "", (0.0, 0.0), lambda: None
    made._late = (entry,)  # at the look before
    return made


def queued(monkeypatch, *seconds):
    left = iter(seconds)
    monkeypatch.setattr(supervisor, "queued_seconds", lambda _: next(left))


def test_a_call_that_takes_too_long_is_a_hang(worker, monkeypatch):
    queued(monkeypatch, 7.0, 7.0)
    assert (worker.overstepped(Limits(3, 0)), worker._verdict) == (True, "no answer in 3 s")


def test_time_for_which_others_had_the_processors_does_not_count(worker, monkeypatch):
    queued(monkeypatch, 7.0, 10.0)
    assert (worker.overstepped(Limits(3, 0)), worker._verdict) == (False, "")


def test_a_new_call_starts_with_what_was_queued_until_then(worker, monkeypatch):
    worker._call = (1.0, 2.0)
    queued(monkeypatch, 9.0, 9.0)
    assert worker.overstepped(Limits(3, 0))


@pytest.mark.parametrize(("seconds", "hangs"), [(60, False), (200, True)])
def test_between_two_calls_a_worker_has_more_time_and_not_all_the_time(worker, seconds, hangs):
    entry = Entry(seconds - time.monotonic(), 0, "a case")
    worker.ledger = SimpleNamespace(read=lambda: entry)
    assert [worker.overstepped(Limits(3, 0)) for _ in range(2)] == [False, hangs]


def test_an_entry_that_was_being_written_is_no_hang(worker, monkeypatch):
    queued(monkeypatch, 0.0, 0.0, 0.0, 0.0)
    looks = iter([Entry(0.0, 0, "half of a case"), Entry(time.monotonic(), 0, "a case")])
    worker.ledger = SimpleNamespace(read=lambda: next(looks))
    assert [worker.overstepped(Limits(3, 0)) for _ in range(2)] == [False, False]


@pytest.mark.parametrize(("since", "verdict"), [(1.0, "over 1 MiB"), (-1.0, "")])
def test_memory_is_the_targets_while_it_is_called(worker, monkeypatch, since, verdict):
    worker.ledger = SimpleNamespace(read=lambda: Entry(since * time.monotonic(), 0, "a case"))
    monkeypatch.setattr(supervisor, "resident_bytes", lambda _: 2 << 20)
    worker.overstepped(Limits(60, 1))
    assert worker._verdict == verdict


def test_a_program_that_starts_workers_is_not_run_again_in_them(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
from convcheck.run import verify
print(verify("scipy", isolate=True, laws=("output-size",), profile="smoke").exit_code)
""")
    output = subprocess.check_output([sys.executable, str(program)], text=True, timeout=100)  # noqa: S603
    assert output == "0\n"
