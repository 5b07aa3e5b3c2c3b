"""Runs a load process from the command's own process: starts it, reads its lines, ends it, collects its report."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import psutil

from harness.core.errors import LoadError
from harness.load.job import JOB_FILE, REPORT_FILE, Alive, Line, LoadJob, LoadReport, decode_line

_ERRORS = "stderr.txt"
SILENCE = 60.0
"""Seconds without a line after which a load process is given up."""
GRACE = 20.0
"""Seconds that a load process gets to fold and write its report once told to stop."""


class LoadProcess:
    """One load process. A context manager that never leaves it behind.

    It runs in a session of its own, so that Ctrl-C in a terminal reaches the driver alone and the driver decides.

    Args:
        job: what to run.
        folder: an empty one, for the job, the report and the process's last words.
        environment: of the process.
    """

    def __init__(self, job: LoadJob, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._job, self._folder = job, folder
        self._environment = os.environ if environment is None else environment
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def __enter__(self) -> "LoadProcess":
        (self._folder / JOB_FILE).write_bytes(msgspec.json.encode(self._job))
        with (self._folder / _ERRORS).open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.load.process", str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                bufsize=0,
                stderr=errors,
                start_new_session=True,
                env=self._environment,
            )
        if self._interrupted:
            self.interrupt()
        return self

    def __exit__(self, *exc: object) -> None:
        process = self._running
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running.pid

    def generators(self) -> list[int]:
        """The ids of the processes on this host that send requests: this one, or those that it started for it."""
        if self._job.workers == 1 and not self._job.join:
            return [self.pid]
        children = psutil.Process(self.pid).children()
        return [child.pid for child in sorted(children, key=lambda child: child.create_time())]

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the load process was not started: use it as a context manager")
        return self._process

    def lines(self) -> Iterator[Line]:
        """What the process tells, until it ends.

        Raises:
            LoadError: it fell silent; it promises a line each second.
        """
        pipe = self._running.stdout
        assert pipe is not None
        while True:
            # Lines are short and flushed one by one: what is readable is a whole line.
            if not select.select([pipe], [], [], SILENCE)[0]:
                raise LoadError(f"the load process has said nothing for {SILENCE:g} s", hint="it is ended")
            data = pipe.readline()
            if not data:
                return
            with contextlib.suppress(msgspec.DecodeError):
                line = decode_line(data)
                if not isinstance(line, Alive):
                    yield line

    def interrupt(self) -> None:
        """Ask for an early end: the process drains briefly and still reports."""
        self._interrupted = True  # even before there is a process
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def report(self) -> LoadReport:
        """The process's report.

        Raises:
            LoadError: it ended without one.
        """
        try:
            status = self._running.wait(GRACE)
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"the load process did not end within {GRACE:g} s of its last word") from error
        path = self._folder / REPORT_FILE
        if status != 0 or not path.exists():
            tail = (self._folder / _ERRORS).read_text(errors="replace").strip().splitlines()[-3:]
            cause = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            raise LoadError(f"the load process ended without a report ({cause})", hint=" / ".join(tail))
        return msgspec.json.decode(path.read_bytes(), type=LoadReport)


def dismiss(address: str, workers: int, environment: Mapping[str, str]) -> None:
    """Tell workers on other hosts that the run is over.

    Args:
        address: where they look for their master, HOST:PORT.
        workers: how many.
        environment: of the process that tells them.
    """
    words = [sys.executable, "-m", "harness.load.process", "--dismiss", address, str(workers)]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            words, env=environment, stdout=subprocess.DEVNULL, timeout=SILENCE, check=False, start_new_session=True
        )
