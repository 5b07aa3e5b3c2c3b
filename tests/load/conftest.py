"""Fake services, and load on them by real Locust processes."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.core.scenario import ClosedArrivals, OpenArrivals, Operation, Phases, Scenario
from harness.core.tape import Request, write_tape
from harness.load.driver import LoadProcess
from harness.load.job import LoadJob, LoadReport

FAKE = Path(__file__).parent / "fake_service.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def fake_service() -> Iterator[Callable[..., str]]:
    """Starts a fake service with the given options; gives its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: object) -> str:
        port = free_port()
        started.append(subprocess.Popen([sys.executable, str(FAKE), str(port), *map(str, options)]))
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.05)
        raise AssertionError("the fake service did not start")

    yield start
    for process in started:
        process.kill()
        process.wait()


def noop_scenario(arrivals: OpenArrivals | ClosedArrivals, seconds: float, warmup: float = 1.0) -> Scenario:
    return Scenario(
        name="noop",
        title="",
        description="",
        arrivals=arrivals,
        operations=(Operation("noop", "noop"),),
        phases=Phases(warmup=warmup, measure=seconds, drain=5),
    )


@pytest.fixture
def offer(tmp_path: Path) -> Callable[..., LoadReport]:
    """Runs a scenario of no-ops in a real load process; `during` is called with it once the measure phase began."""

    def run(
        url: str, scenario: Scenario, *, requests: int = 100_000, during: Callable[[LoadProcess], None] | None = None
    ) -> LoadReport:
        tape = tmp_path / "noop.jsonl"
        write_tape(tape, (Request("GET", "/api/v1/noop") for _ in range(requests)))
        with LoadProcess(LoadJob(url=url, scenario=scenario, seed=1, tapes={"noop": str(tape)})) as process:
            for line in process.lines():
                if during is not None and line.phase == "measure":
                    during(process)
                    during = None
            return process.report()

    return run
