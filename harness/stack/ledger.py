"""What this run has started, on disk: so that the next run can clear what a killed one left behind."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct


class ProcessId(Struct, frozen=True):
    """A process, told apart from a later one with the same number by its start time (seconds since the epoch)."""

    pid: int
    created: float

    def find(self) -> psutil.Process | None:
        """The process while it lives."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) < 0.05 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


class Contents(Struct):
    """What a run has started and must take down.

    Attributes:
        owner: the run's own process.
        processes: to end.
        containers: to remove, by name.
        folders: to delete.
        databases: to drop: URL of the server, and name.
        path: of the ledger itself.
    """

    owner: ProcessId
    path: Path
    processes: list[ProcessId] = []
    containers: list[str] = []
    folders: list[str] = []
    databases: list[tuple[str, str]] = []


def identify(pid: int) -> ProcessId:
    """The identity of a living process."""
    return ProcessId(pid, psutil.Process(pid).create_time())


def default_home() -> Path:
    """Where ledgers are kept: the user's runtime folder, else one of their own under the temporary one."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base) / "membench" if base else Path(tempfile.gettempdir()) / f"membench-{os.getuid()}"


class Ledger:
    """The things that one run must take down, written before each is used.

    Args:
        home: folder of all ledgers.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._home = home or default_home()
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._home / f"{os.getpid()}-{time.time_ns()}.json"
        self._entries = Contents(identify(os.getpid()), path)

    def process(self, pid: int) -> None:
        """Note a process that was started."""
        with contextlib.suppress(psutil.Error):
            self._entries.processes.append(identify(pid))
            self._save()

    def container(self, name: str) -> None:
        """Note a container that is about to be started under this name."""
        self._entries.containers.append(name)
        self._save()

    def folder(self, path: Path) -> None:
        """Note a temporary folder."""
        self._entries.folders.append(str(path))
        self._save()

    def database(self, server_url: str, name: str) -> None:
        """Note a database that is about to be made on somebody's server."""
        self._entries.databases.append((server_url, name))
        self._save()

    def close(self) -> None:
        """All was taken down."""
        self._entries.path.unlink(missing_ok=True)

    def contents(self) -> Contents:
        """All that was noted."""
        return self._entries

    def _save(self) -> None:
        path = self._entries.path
        partial = path.with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(self._entries, enc_hook=str))
        partial.replace(path)


def leftovers(home: Path | None = None) -> list[Contents]:
    """What runs that no longer live have left behind. Ledgers of living runs are not touched."""
    found = []
    for path in sorted((home or default_home()).glob("*.json")):
        try:
            contents = msgspec.json.decode(path.read_bytes(), type=Contents, dec_hook=lambda kind, text: kind(text))
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            continue
        if contents.owner.find() is None:
            found.append(contents)
    return found


def end_process(identity: ProcessId, *, patience: float = 10.0) -> bool:
    """End one process of ours: politely, then for good.

    Args:
        identity: of the process; another one under the same number is left alone.
        patience: seconds until it is killed.

    Returns:
        whether there was one.
    """
    process = identity.find()
    if process is None:
        return False
    with contextlib.suppress(psutil.Error):
        family = process.children(recursive=True)
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients.
        process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
        _, alive = psutil.wait_procs([process, *family], timeout=patience)
        for survivor in alive:
            with contextlib.suppress(psutil.Error):
                survivor.kill()
        psutil.wait_procs(alive, timeout=5)
    return True


def delete_folder(path: str) -> None:
    """Delete a temporary folder of ours, whatever is left in it."""
    shutil.rmtree(path, ignore_errors=True)
