"""Run folders: where a run goes, and which one a word on the command line means."""

import contextlib
import errno
import os
from pathlib import Path

from harness.cli.options import RUNS
from harness.core import gate
from harness.core.errors import UsageError
from harness.core.record import FILE

LATEST = "latest"
_PROBE_BYTES = 8 * 1024 * 1024
"""A record with its reports stays below it; a disk that cannot take that much would lose the run."""


def prepare(out: Path) -> None:
    """Make a run's folder and make sure, before anything is measured, that a record fits into it.

    Raises:
        UsageError: it holds a run already, or cannot be written.
    """
    if any((out / name).exists() for name in (FILE, gate.FILE)):
        raise UsageError(f"{out} holds a run already", hint="give another --out; nothing is overwritten")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        try:
            with probe.open("wb") as file:
                file.write(b"\0" * _PROBE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise UsageError(
            f"cannot write to {out}: {error.strerror}",
            hint="free some space there, or give another --out" if full else "give another --out",
        ) from error


def remember(out: Path) -> None:
    """Let `latest` mean this run."""
    with contextlib.suppress(OSError):
        RUNS.mkdir(parents=True, exist_ok=True)
        link, fresh = RUNS / LATEST, RUNS / f".{LATEST}-{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.path.relpath(out.resolve(), RUNS.resolve()))
        fresh.replace(link)


def find(run: str) -> Path:
    """The folder that RUN means: a path, `latest`, or the name of a run under results/runs.

    Raises:
        UsageError: there is no such run.
    """
    for candidate in (RUNS / LATEST if run == LATEST else Path(run), RUNS / run):
        if candidate.is_file():
            return candidate.parent
        if (candidate / FILE).exists():
            return candidate
        if (candidate / gate.FILE).exists():
            raise UsageError(f"{candidate} is a gate, not a run", hint=f"open {candidate / 'gate.html'}")
    known = sorted(path.name for path in RUNS.glob("*") if (path / FILE).exists() and path.name != LATEST)
    hint = f"there are {', '.join(known[-5:])}" if known else "'membench run' makes one"
    raise UsageError(f"there is no run '{run}'", hint=hint)
