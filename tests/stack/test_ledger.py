"""What a run owns: found and taken down by the next, and nobody else's touched."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.core.secrets import hide_password
from harness.stack.ledger import Ledger, delete_folder, end_processes, leftovers

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def owner_dies(home: Path) -> tuple[int, str]:
    """A run in a process of its own that starts another, makes a file, and is killed."""
    code = (
        "import os, subprocess, sys, signal; from pathlib import Path; from harness.stack.ledger import Ledger\n"
        f"ledger = Ledger(Path({str(home)!r})); (ledger.folder('x') / 'file').write_text('x')\n"
        "ledger.container('membench-none'); ledger.database('postgresql://nowhere', 'membench_none')\n"
        f"child = subprocess.Popen({SLEEP!r}, env=ledger.environment(), stdout=-3, stderr=-3)\n"
        "print(child.pid, ledger.contents.folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    pid, folder = done.stdout.split()
    return int(pid), folder


def test_a_killed_runs_possessions_are_found_and_ended(tmp_path: Path) -> None:
    pid, folder = owner_dies(tmp_path)
    ((_, contents),) = leftovers(tmp_path)
    assert contents.folder == folder
    assert contents.containers == ["membench-none"]
    assert contents.databases == [("postgresql://nowhere", "membench_none")]
    assert Path(folder).exists()
    assert end_processes(contents) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    delete_folder(contents)
    assert not Path(folder).exists()


def test_a_living_runs_possessions_are_left_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        child = subprocess.Popen(SLEEP, env=ledger.environment())
        try:
            assert list(leftovers(tmp_path)) == []
            assert child.poll() is None
        finally:
            ledger.close()
        assert not psutil.pid_exists(child.pid)
        child.wait()
    assert list(tmp_path.iterdir()) == []


def test_other_processes_are_not_touched(tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP)
    with Ledger(tmp_path) as mine, Ledger(tmp_path) as other:
        theirs = subprocess.Popen(SLEEP, env=other.environment())
        assert end_processes(mine.contents) == 0
        assert stranger.poll() is None
        assert theirs.poll() is None
    assert not psutil.pid_exists(theirs.pid)
    theirs.wait()
    stranger.kill()
    stranger.wait()


def test_a_process_that_ignores_politeness_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
    with Ledger(tmp_path) as ledger:
        child = subprocess.Popen([sys.executable, "-c", code], env=ledger.environment(), stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        assert end_processes(ledger.contents, patience=0.5) == 1
        child.stdout.close()
        assert not psutil.pid_exists(child.pid)
        child.wait()


def test_a_damaged_ledger_does_not_stop_anyone(tmp_path: Path) -> None:
    (tmp_path / "1-1.json").write_text("{")
    assert list(leftovers(tmp_path)) == []


def test_ledgers_are_for_their_owner_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.database("postgresql://u:secret@h/db", "membench_x")
        (path,) = tmp_path.glob("*.json")
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://h/db?user=u&password=secret&x=1", "postgresql://h/db?user=u&password=***&x=1"),
        ("cannot reach postgresql://u:s:e@h/db!", "cannot reach postgresql://u:***@h/db!"),
        ("postgresql://h/db", "postgresql://h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown
