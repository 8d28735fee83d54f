"""What is asked of other processes, and done to this one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

from convcheck.isolation.processes import deaf_to_interrupts, environment, queued_seconds


def test_a_process_that_is_gone_has_queued_for_no_time():
    assert queued_seconds(-1) == 0.0


def test_what_is_started_deaf_to_interrupts_stays_so_and_who_starts_it_does_not():
    before = signal.getsignal(signal.SIGINT)
    with deaf_to_interrupts():
        output = subprocess.check_output(["/bin/sh", "-c", "kill -INT $$; echo alive"], text=True)
    assert (output, signal.getsignal(signal.SIGINT)) == ("alive\n", before)


def test_a_thread_of_its_own_can_start_workers():
    heard = []

    def start():
        with deaf_to_interrupts():
            heard.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert heard == [signal.getsignal(signal.SIGINT)]


def test_what_is_started_meanwhile_has_variables_that_are_gone_afterwards():
    before = dict(os.environ)
    with environment({"CONVCHECK_TEST": "here"}):
        output = subprocess.check_output(["/bin/sh", "-c", "echo $CONVCHECK_TEST"], text=True)
    assert (output, dict(os.environ)) == ("here\n", before)
