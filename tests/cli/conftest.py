"""`membench` as its user runs it: a process of its own, whose every descendant can be told by its temporary folder."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
CLEARS = 30.0
"""Seconds within which everything must be gone."""


ROBBED = ("the hypervisor took", "the generator lagged", "of its core")
"""How a run says that the machine, and nothing else, kept it from a verdict."""


def judged(status: int, output: str) -> bool:
    """Whether a run of a healthy service ended in PASS; else asserts that the machine is named as the reason."""
    assert status == 0 or (status == 3 and any(reason in output for reason in ROBBED)), output
    return status == 0


class Membench:
    """Runs the command with a temporary folder and a working directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.temporary = home / "tmp"
        self.cwd = home / "cwd"
        for folder in (self.temporary, self.cwd):
            folder.mkdir()
        self.environment = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "XDG_RUNTIME_DIR": str(home / "runtime"),
            "COLUMNS": "140",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *map(str, words)],
            cwd=self.cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: object, timeout: float = 240) -> tuple[int, str]:
        process = self.start(*words)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, output

    def read_until(self, process: subprocess.Popen[str], text: str) -> str:
        """Output up to the line that holds `text`."""
        seen = ""
        assert process.stdout is not None
        for line in process.stdout:
            seen += line
            if text in line:
                return seen
        raise AssertionError(f"'{text}' never came:\n{seen}")

    def left_behind(self) -> list[str]:
        """Processes, temporary folders and ledgers that are still there when they should be gone."""
        deadline = time.monotonic() + CLEARS
        while (found := self._present()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def processes(self) -> list[psutil.Process]:
        """Everything that descends from a command run here."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR") == str(self.temporary):
                    found.append(process)
        return found

    def _present(self) -> list[str]:
        ledgers = (self.home / "runtime" / "membench").glob("*")
        return [str(item) for item in (*self.processes(), *self.temporary.iterdir(), *ledgers)]


@pytest.fixture
def membench() -> Iterator[Membench]:
    # Not pytest's own folder: the embedded server's system user must be able to enter it.
    home = Path(tempfile.mkdtemp(prefix="membench-test-"))
    home.chmod(0o755)
    command = Membench(home)
    yield command
    for process in command.processes():
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)
