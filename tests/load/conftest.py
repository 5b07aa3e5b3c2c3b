"""Load by real Locust processes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.scenario import ClosedArrivals, OpenArrivals, Operation, Phases, Scenario
from harness.core.tape import Request, write_tape
from harness.load.driver import LoadProcess
from harness.load.job import LoadJob, LoadReport, PhaseChange


def noop_scenario(arrivals: OpenArrivals | ClosedArrivals, seconds: float, warmup: float = 1.0) -> Scenario:
    return Scenario(
        name="noop",
        title="",
        description="",
        arrivals=arrivals,
        operations=(Operation("noop", "noop"),),
        phases=Phases(warmup=warmup, warmup_most=warmup, measure=seconds, drain=5),
    )


@pytest.fixture
def offer(tmp_path: Path) -> Callable[..., LoadReport]:
    """Runs a scenario of no-ops in a real load process; `during` is called with it once the measure phase began."""

    def run(
        url: str,
        scenario: Scenario,
        *,
        requests: int = 100_000,
        workers: int = 1,
        during: Callable[[LoadProcess], None] | None = None,
    ) -> LoadReport:
        tape = tmp_path / "noop.jsonl"
        folder = tmp_path / "load"
        folder.mkdir(exist_ok=True)
        write_tape(tape, (Request("GET", "/api/v1/noop") for _ in range(requests)))
        job = LoadJob(url=url, scenario=scenario, seed=1, tapes={"noop": str(tape)}, workers=workers)
        with LoadProcess(job, folder) as process:
            for line in process.lines():
                if during is not None and isinstance(line, PhaseChange) and line.phase == "measure":
                    during(process)
                    during = None
            return process.report()

    return run
