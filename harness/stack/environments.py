"""Virtual environments by what they hold: built once, whole or not at all, and kept in the user's cache folder."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.core.errors import StackError
from harness.stack.ledger import Ledger
from harness.stack.postgres import Say

KEPT: Final = 5
"""Environments at most; those unused for longest go first."""
BUILD_SECONDS: Final = 900.0
_PARTIAL: Final = "part-"
_ABANDONED: Final = 2 * BUILD_SECONDS
"""Seconds after which what is being built is nobody's any more."""


def home() -> Path:
    """Where they are kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "membench" / "environments"


def of(digest: str, dependencies: Sequence[str], lock: Path | None, ledger: Ledger, say: Say) -> str:
    """The interpreter of the environment with these dependencies, which is built where there is none yet.

    Args:
        digest: of all that it is made from; its name.
        dependencies: requirements, as pip takes them.
        lock: file of constraints on them.
        ledger: of the run: what it starts can be found.
        say: told what is going on.

    Raises:
        StackError: they cannot be installed; with the installer's last words.
    """
    folder = home() / digest
    if not folder.exists():
        say(f"building an environment in {folder}")
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder.parent))
        except OSError as error:
            raise StackError(f"cannot keep environments: {error}", hint="set XDG_CACHE_HOME to a folder") from error
        try:
            build(partial, dependencies, lock, ledger)
            # Only `bin/python` is used, which does not mind where it lies.
            partial.rename(folder)
        except OSError as error:
            if not folder.exists():  # else another run was faster
                raise StackError(f"cannot keep an environment in {folder.parent}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    os.utime(folder)
    _tidy(folder)
    return str(folder / "bin" / "python")


def build(folder: Path, dependencies: Sequence[str], lock: Path | None, ledger: Ledger) -> None:
    """Make an environment for this Python: with uv where there is one, else with venv and pip.

    Raises:
        StackError: it cannot be made.
    """
    python = folder / "bin" / "python"
    constraints = ["-c", str(lock)] if lock else []
    if uv := shutil.which("uv"):
        create = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)]
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        create = [sys.executable, "-m", "venv", str(folder)]
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(create, ledger)
    if dependencies:
        _run([*install, *constraints, *dependencies], ledger)


def _run(command: list[str], ledger: Ledger) -> None:
    environment = {
        key: value for key, value in ledger.environment().items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}
    }
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"{Path(command[0]).name} took longer than {BUILD_SECONDS:g} s") from error
    if done.returncode != 0:
        last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise StackError(
            f"cannot build base's environment: {last}",
            hint="its lock file may name what this machine cannot install; name a command or URL for base instead",
        )


def _tidy(used: Path) -> None:
    """Delete all but the last few, and what killed runs left half built."""
    found = sorted((path for path in used.parent.iterdir() if path != used), key=_age)
    partial = [path for path in found if path.name.startswith(_PARTIAL)]
    whole = [path for path in found if path not in partial]
    for path in (*whole[KEPT - 1 :], *(path for path in partial if _age(path) > _ABANDONED)):
        shutil.rmtree(path, ignore_errors=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # somebody else has tidied up
        return float("inf")
