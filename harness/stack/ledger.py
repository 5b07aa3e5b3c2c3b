"""What a run has started, on disk before it is started: so that nothing stays behind, even after a SIGKILL.

Processes carry the run's name in their environment, temporary files lie in one folder, containers and databases are
noted by name. There is no moment at which something exists and cannot be found.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
import psutil
from msgspec import Struct

from harness.core.errors import StackError

VARIABLE: Final = "MEMBENCH_RUN"
"""The environment variable by which a run's processes are known."""
_BIRTH: Final = 0.1
"""Seconds after which a process that was just started shows its environment."""
PATIENCE: Final = 10.0
"""Seconds that a process gets to end politely."""


class Contents(Struct):
    """What a run must take down.

    Attributes:
        run: its name, unique on this machine.
        folder: all of its temporary files.
        containers: by name.
        databases: URL of the server, and name.
    """

    run: str
    folder: str
    containers: list[str] = []
    databases: list[tuple[str, str]] = []


class Ledger:
    """The record of one run's possessions, and where they are kept. A context manager; made anew for each run.

    Args:
        home: folder of all ledgers of this user.
    """

    def __init__(self, home: Path | None = None) -> None:
        home = home or default_home()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.getuid():
            raise StackError(f"{home} belongs to somebody else", hint="set XDG_RUNTIME_DIR to a folder of your own")
        run = f"{os.getpid()}-{time.time_ns()}"
        self._path = home / f"{run}.json"
        folder = Path(tempfile.gettempdir()) / f"membench-{run}"
        self.contents = Contents(run, str(folder))
        # Held for as long as this process lives, whatever the clock does: who can take it has found a dead run.
        self._lock = self._path.with_suffix(".lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._save()
        # The embedded server's system user must reach its data in it.
        folder.mkdir(mode=0o711)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def folder(self, name: str) -> Path:
        """A new temporary folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.contents.folder))

    def environment(self) -> dict[str, str]:
        """The environment for each process that the run starts."""
        return {**os.environ, VARIABLE: self.contents.run}

    def container(self, name: str) -> None:
        """Note a container that is about to be started under this name."""
        self.contents.containers.append(name)
        self._save()

    def database(self, server_url: str, name: str) -> None:
        """Note a database that is about to be made on somebody's server."""
        self.contents.databases.append((server_url, name))
        self._save()

    def close(self) -> None:
        """End what still runs and delete the files; containers and databases must be gone already."""
        end_processes(self.contents)
        delete_folder(self.contents)
        forget(self._path)
        self._lock.close()

    def _save(self) -> None:
        partial = self._path.with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self.contents))
        partial.replace(self._path)


def default_home() -> Path:
    """Where ledgers are kept: the user's runtime folder, else one of their own under the temporary one."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "membench" if base else Path(tempfile.gettempdir()) / f"membench-{os.getuid()}"


def leftovers(home: Path | None = None) -> Iterator[tuple[Path, Contents]]:
    """The ledgers of runs that no longer live, with their paths. Those of living runs are not touched."""
    for path in sorted((home or default_home()).glob("*.json")):
        try:
            contents = msgspec.json.decode(path.read_bytes(), type=Contents)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            continue
        if path.stat().st_uid == os.getuid() and not _locked(path.with_suffix(".lock")):
            yield path, contents


def _locked(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def forget(path: Path) -> None:
    """Delete a ledger: all that it names is gone."""
    path.unlink(missing_ok=True)
    path.with_suffix(".lock").unlink(missing_ok=True)


def delete_folder(contents: Contents) -> None:
    """Delete a run's temporary files."""
    folder = Path(contents.folder)
    # Whatever stands in a ledger, only ever a folder that a run would make.
    if folder.name == f"membench-{contents.run}":
        shutil.rmtree(folder, ignore_errors=True)


def processes(variable: str, value: str) -> list[psutil.Process]:
    """The processes, other than this one, that have an environment variable with this value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                found.append(process)
    return found


def end_processes(contents: Contents, *, patience: float = PATIENCE) -> int:
    """End all processes of a run, politely and then for good; returns how many there were."""
    # For a moment after its birth a process shows no environment yet: look twice.
    first = processes(VARIABLE, contents.run)
    time.sleep(_BIRTH)
    found = list({*first, *processes(VARIABLE, contents.run)})
    end(found, patience=patience)
    return len(found)


def end(found: Sequence[psutil.Process], *, patience: float = PATIENCE) -> None:
    """End processes, politely and, after `patience` seconds, for good."""
    for process in found:
        with contextlib.suppress(psutil.Error):
            # PostgreSQL's own children follow their postmaster, for which SIGINT is the fast shutdown.
            if process.name() != "postgres":
                process.terminate()
            elif process.parent() not in found:
                process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(found, timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
