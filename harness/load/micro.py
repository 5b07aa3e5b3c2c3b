"""Runs the micro-benchmarks with pytest-benchmark and takes over their raw timings."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from harness.core.errors import LoadError
from harness.core.histogram import enough_for
from harness.core.record import MicroResult

TIMEOUT = 300.0
DATABASE_VARIABLE = "MEMBENCH_DATABASE_URL"
TEMPLATE_VARIABLE = "MEMBENCH_MICRO_TEMPLATE"
ROUNDS_VARIABLE = "MEMBENCH_MICRO_ROUNDS"


def run(
    suite: Path,
    database_url: str | None,
    folder: Path,
    environment: Mapping[str, str],
    *,
    python: str = sys.executable,
    template: str | None = None,
    rounds: Mapping[str, int] = MappingProxyType({}),
) -> list[MicroResult]:
    """Run a folder of benchmarks in a process of their own.

    Args:
        suite: the folder.
        database_url: a PostgreSQL server for those that need one; they are skipped without it.
        folder: an empty one for the results.
        environment: of the process; what is timed is what its PYTHONPATH has, or else the interpreter.
        python: the interpreter.
        template: URL of a database on that server to clone instead of filling one; the first run fills it.
        rounds: the most that a benchmark is to do, by "group/name"; "*" for those that are not named.

    Raises:
        LoadError: a benchmark failed, or none ran.
    """
    results = folder / "results.json"
    ours = {DATABASE_VARIABLE, TEMPLATE_VARIABLE, ROUNDS_VARIABLE}
    variables = {key: value for key, value in environment.items() if key not in ours}
    # Locust brings a plugin of its own, which patches the standard library; others cost seconds to load.
    variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if template:
        variables[TEMPLATE_VARIABLE] = template
    if rounds:
        variables[ROUNDS_VARIABLE] = msgspec.json.encode(dict(rounds)).decode()
    if database_url:
        variables[DATABASE_VARIABLE] = database_url
    process = subprocess.Popen(
        [
            python,
            "-m",
            "pytest",
            "-p",
            "pytest_benchmark.plugin",
            str(suite),
            "-q",
            "--benchmark-only",
            "--benchmark-disable-gc",
        ]
        + [f"--benchmark-json={results}", f"--rootdir={folder}", "-p", "no:cacheprovider", "--import-mode=importlib"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=variables,
        cwd=folder,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"the micro-benchmarks took more than {TIMEOUT:g} s") from error
    finally:
        if process.poll() is None:
            process.terminate()  # it drops its database first
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
    if process.returncode != 0 or not results.exists():
        raise LoadError("the micro-benchmarks failed: " + " / ".join(output.strip().splitlines()[-3:]))
    return parse(results.read_bytes())


def parse(data: bytes) -> list[MicroResult]:
    """The results in a file of `--benchmark-json`, with percentiles of the raw timings.

    Raises:
        LoadError: it holds no benchmark, or one without its raw timings.
    """
    content: Any = msgspec.json.decode(data)
    found = []
    for benchmark in content.get("benchmarks", []):
        seconds = np.asarray(benchmark["stats"].get("data", []), dtype=np.float64)
        if not seconds.size:
            raise LoadError(f"{benchmark['name']} came without its raw timings")
        p50, p95, p99 = np.percentile(seconds * 1e6, [50, 95, 99], method="inverted_cdf")
        found.append(
            MicroResult(
                group=benchmark["group"] or "",
                name=benchmark["name"].removeprefix("test_"),
                rounds=int(seconds.size),
                p50=float(p50),
                p95=float(p95),
                p99=float(p99) if seconds.size >= enough_for(99) else None,
                max=float(seconds.max() * 1e6),
                per_second=float(1 / seconds.mean()),
            )
        )
    if not found:
        raise LoadError("no micro-benchmark ran")
    return found
