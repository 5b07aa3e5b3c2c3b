"""`membench worker`: load generators on this host for a run that is led elsewhere."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Final

from harness.cli.interrupt import Interrupts
from harness.core.errors import Exit, LoadError, UsageError
from harness.load.job import DISMISSED, NOT_NEEDED

DEFAULT_PORT: Final = 5557
"""Locust's own."""
_BETWEEN: Final = 1.0
"""Seconds between two jobs, in which the master of the last one ends."""


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """HOST or HOST:PORT, as a host and a port.

    Raises:
        UsageError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    host, port = (host, port) if colon else (text, str(default_port))
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"'{text}' is no address", hint=f"write HOST or HOST:PORT, such as 10.0.0.5:{default_port}")
    return host, int(port)


def serve(address: str, interrupts: Interrupts, say: Callable[[str], None]) -> int:
    """Work for the master at an address, job after job, until the run is over.

    Each job has a process of its own, so that none inherits the memory of another.

    Returns:
        the exit status.

    Raises:
        LoadError: no master answered, or it went away in the middle.
    """
    host, port = parse_address(address)
    say(f"waiting for a run at {host}:{port}; Ctrl-C ends")
    jobs = 0
    while True:
        with tempfile.TemporaryDirectory(prefix="membench-worker-") as folder:
            words = [
                sys.executable,
                "-m",
                "harness.load.process",
                "--worker",
                host,
                str(port),
                folder,
                str(os.getpid()),
            ]
            child = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
            with interrupts.passed_to(child.terminate):
                status = child.wait()
        if interrupts.seen:
            return Exit.INTERRUPTED
        if status == DISMISSED:
            say(f"the run is over: {jobs} jobs done")
            return Exit.OK
        if status == NOT_NEEDED:
            say("that job had workers enough; waiting for the next")
            time.sleep(_BETWEEN)
            continue
        if status < 0:
            raise LoadError(f"the worker was killed by {signal.Signals(-status).name}", hint="is there memory enough?")
        if status != 0 and jobs == 0:
            raise LoadError(
                f"no run is led at {host}:{port}", hint="start one there: membench run --master --bind 0.0.0.0:5557 ..."
            )
        if status != 0:
            raise LoadError(f"the master at {host}:{port} went away after {jobs} jobs")
        jobs += 1
        say(f"job {jobs} done, waiting for the next")
        time.sleep(_BETWEEN)
