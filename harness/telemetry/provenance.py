"""Where a record comes from: revision, machine, versions."""

import os
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import psutil

import harness
from harness.core.record import Provenance
from harness.core.secrets import hide_password


def provenance(command: list[str]) -> Provenance:
    """Read it off this machine and the working directory.

    Args:
        command: the command line, recorded with passwords hidden.
    """
    revision = _git("rev-parse", "HEAD")
    return Provenance(
        membench=harness.__version__,
        command=[hide_password(word) for word in command],
        git_revision=revision,
        git_dirty=bool(revision and _git("status", "--porcelain", "--untracked-files=no")),
        machine=machine(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=dict(sorted({d.name: d.version for d in distributions() if d.name}.items())),
    )


def machine() -> dict[str, str | int | float]:
    """The processor, memory and kernel."""
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python_executable": Path(sys.executable).name,
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
