"""A revision's code in a folder of its own, with an interpreter that has what it depends on.

Two versions are to differ in nothing but their code. Where both lock files agree they share head's interpreter; else
the other gets a virtual environment, made once and kept in the user's cache folder.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from harness.core.errors import StackError, UsageError
from harness.stack import environments
from harness.stack.ledger import Ledger
from harness.stack.postgres import Say

LOCK: Final = "constraints.txt"
_PROJECT: Final = "pyproject.toml"
_VERSION: Final = "import platform as p; print(p.python_implementation(), p.python_version())"


@dataclass(frozen=True)
class Checkout:
    """Code, and what runs it: `[python, "-m", ...]` with `root` as working directory.

    Attributes:
        root: of the code.
        python: path of the interpreter.
        revision: the commit, with "+" where the working tree had changes of its own; empty without a repository.
        environment: SHA-256 of the lock file, the project's dependencies and the interpreter's version.
        python_version: implementation and version: "CPython 3.12.4".
    """

    root: Path
    python: str
    revision: str
    environment: str
    python_version: str

    @classmethod
    def here(cls) -> Self:
        """The working tree that holds the current directory, or that directory, run by this interpreter."""
        root, revision = Path.cwd(), ""
        if top := _git("rev-parse", "--show-toplevel"):
            root, revision = Path(top), _git("rev-parse", "--verify", "--quiet", "HEAD")
            if revision and _git("status", "--porcelain", "--untracked-files=no"):
                revision += "+"
        version = _version(sys.executable)
        return cls(root, sys.executable, revision, _Needs.of(root).digest(version), version)

    @classmethod
    def of(cls, revision: str, ledger: Ledger, say: Say) -> Self:
        """A revision of the repository that holds the current directory, in a folder of the run's.

        Args:
            revision: whatever git takes for a commit.
            ledger: of the run; the folder goes with it.
            say: told what is going on.

        Raises:
            UsageError: there is no repository, or no such revision in it.
            StackError: it cannot be unpacked, or its dependencies cannot be installed.
        """
        commit = resolved(revision)
        head, root = cls.here(), ledger.folder("checkout")
        _unpack(commit, root)
        needs = _Needs.of(root)
        if needs == _Needs.of(head.root):
            say(f"{revision} is {commit[:12]}; it depends on what head does, and shares its interpreter")
            return cls(root, head.python, commit, head.environment, head.python_version)
        digest = needs.digest(head.python_version)
        say(f"{revision} is {commit[:12]}; its dependencies differ from head's: it gets an environment of its own")
        lock = root / LOCK
        python = environments.of(digest, needs.dependencies, lock if lock.exists() else None, ledger, say)
        return cls(root, python, commit, digest, _version(python))


@dataclass(frozen=True)
class _Needs:
    """What a project is to be installed with.

    Attributes:
        lock: text of its lock file; empty without one.
        dependencies: as the project declares them, in order.
    """

    lock: str
    dependencies: tuple[str, ...]

    @classmethod
    def of(cls, root: Path) -> Self:
        lock, project = root / LOCK, root / _PROJECT
        try:
            declared = tomllib.loads(project.read_text()).get("project", {}) if project.exists() else {}
        except tomllib.TOMLDecodeError as error:
            raise StackError(f"{project}: {error}") from error
        dependencies = tuple(sorted(declared.get("dependencies", ())))
        return cls(lock.read_text() if lock.exists() else "", dependencies)

    def digest(self, python_version: str) -> str:
        """SHA-256 of all that an environment for it is made from."""
        return hashlib.sha256(json.dumps([self.lock, self.dependencies, python_version]).encode()).hexdigest()


def resolved(revision: str) -> str:
    """The commit of a revision, whole.

    Raises:
        UsageError: there is no repository, or no such revision in it.
    """
    if (found := _ask("rev-parse", "--git-dir")).returncode:
        raise UsageError(
            f"{Path.cwd()} has no revisions to compare with: {found.stderr.strip()}",
            hint="start it inside the repository, or name a command or URL instead of a revision",
        )
    if commit := _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"):
        return commit
    if _git("rev-parse", "--is-shallow-repository") == "true":
        raise UsageError(
            f"{revision} is not in this clone, which is shallow",
            hint="fetch its history: `git fetch --unshallow origin`, or `fetch-depth: 0` for actions/checkout",
        )
    raise UsageError(
        f"this repository has no revision {revision}",
        hint=f"fetch it: `git fetch origin {revision}`, then name it origin/{revision}; `git branch --all` lists them",
    )


def _unpack(commit: str, root: Path) -> None:
    """The files of a commit, without a trace in the repository: a worktree would leave one after a SIGKILL."""
    packed = root.with_suffix(".tar")
    done = _ask("-C", _git("rev-parse", "--show-toplevel"), "archive", "--format=tar", f"--output={packed}", commit)
    if done.returncode:
        raise StackError(f"cannot unpack {commit[:12]}: {done.stderr.strip()}")
    try:
        shutil.unpack_archive(packed, root, "tar")
        packed.unlink()
    except (shutil.ReadError, tarfile.TarError, OSError) as error:
        raise StackError(f"cannot unpack {commit[:12]}: {error}") from error


def _git(*words: str) -> str:
    """What git answers in the current directory; empty where it fails."""
    done = _ask(*words)
    return "" if done.returncode else done.stdout.strip()


def _ask(*words: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(["git", *words], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", "git is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"git {words[0]} does not end")


def _version(python: str) -> str:
    """Implementation and version, as the interpreter itself tells them."""
    if python == sys.executable:
        return f"{platform.python_implementation()} {platform.python_version()}"
    try:
        done = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"{python} does not run: {error}") from error
    return done.stdout.strip()
