"""Runs load processes from the command's own process: starts them, reads their lines, ends them, collects reports."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import msgspec
import psutil

from harness.core.errors import LoadError
from harness.load.job import JOB_FILE, REPORT_FILE, Alive, Line, LoadJob, LoadReport, Ready, decode_line

_ERRORS = "stderr.txt"
SILENCE = 60.0
"""Seconds without a line after which a load process is given up."""
GRACE = 20.0
"""Seconds that a load process gets to fold and write its report once told to stop."""


class _Process:
    """A process that generates load. A context manager that never leaves it behind.

    It runs in a session of its own, so that Ctrl-C in a terminal reaches the driver alone and the driver decides.
    """

    def __init__(self, word: str, folder: Path, environment: Mapping[str, str] | None, *, told: bool) -> None:
        self._word, self._folder, self._told = word, folder, told
        self._environment = os.environ if environment is None else environment
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def __enter__(self) -> Self:
        with (self._folder / _ERRORS).open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.load.process", self._word],
                stdin=subprocess.PIPE if self._told else subprocess.DEVNULL,
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
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()  # no more jobs will come: told in the middle of one, it ends after it
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

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the load process was not started: use it as a context manager")
        return self._process

    def lines(self) -> Iterator[Line]:
        """What the process tells, until it ends, or is ready for its next job.

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
                if isinstance(line, Ready):
                    return
                if not isinstance(line, Alive):
                    yield line

    def interrupt(self) -> None:
        """Ask for an early end: the process drains briefly and still reports."""
        self._interrupted = True  # even before there is a process
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def _ended(self) -> LoadError:
        """Why there is no report, once the process is gone."""
        status = self._running.poll()
        tail = (self._folder / _ERRORS).read_text(errors="replace").strip().splitlines()[-3:]
        killed = status is not None and status < 0
        cause = f"killed by {signal.Signals(-status).name}" if killed and status else f"exit status {status}"
        return LoadError(f"the load process ended without a report ({cause})", hint=" / ".join(tail))


class LoadProcess(_Process):
    """A load process for one job.

    Args:
        job: what to run.
        folder: an empty one, for the job, the report and the process's last words.
        environment: of the process.
    """

    def __init__(self, job: LoadJob, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(str(folder), folder, environment, told=False)
        self._job = job

    def __enter__(self) -> Self:
        write_job(self._job, self._folder)
        return super().__enter__()

    def generators(self) -> list[int]:
        """The ids of the processes on this host that send requests: this one, or those that it started for it."""
        if self._job.workers == 1 and not self._job.join:
            return [self.pid]
        children = psutil.Process(self.pid).children()
        return [child.pid for child in sorted(children, key=lambda child: child.create_time())]

    def report(self) -> LoadReport:
        """The process's report.

        Raises:
            LoadError: it ended without one.
        """
        try:
            status = self._running.wait(GRACE)
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"the load process did not end within {GRACE:g} s of its last word") from error
        if status != 0 or not (self._folder / REPORT_FILE).exists():
            raise self._ended()
        return read_report(self._folder)


class LoadSeries(_Process):
    """A load process that does one job after the other, so that each costs a second less.

    Args:
        folder: an empty one, for the process's last words.
        environment: of the process.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        super().__init__("--series", folder, environment, told=True)

    def run(self, job: LoadJob, folder: Path) -> LoadReport:
        """Do one job.

        Args:
            job: what to run; one worker.
            folder: where its tapes are, and its report goes.

        Raises:
            LoadError: the process ended, or fell silent.
        """
        write_job(job, folder)
        pipe = self._running.stdin
        assert pipe is not None
        try:
            pipe.write(os.fsencode(folder) + b"\n")
        except OSError as error:
            self._running.wait(GRACE)
            raise self._ended() from error
        for _ in self.lines():
            pass
        if not (folder / REPORT_FILE).exists():
            self._running.wait(GRACE)
            raise self._ended()
        return read_report(folder)


def write_job(job: LoadJob, folder: Path) -> None:
    """Leave a job where a load process looks for it."""
    (folder / JOB_FILE).write_bytes(msgspec.json.encode(job))


def read_report(folder: Path) -> LoadReport:
    """The report that a load process has left."""
    return msgspec.json.decode((folder / REPORT_FILE).read_bytes(), type=LoadReport)


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
