"""A load process that does one job after the other."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import LoadError
from harness.core.scenario import ClosedArrivals, OpenArrivals, Scenario
from harness.core.tape import Request, write_tape
from harness.load.driver import LoadSeries, write_job
from harness.load.job import LoadJob
from tests.load.conftest import noop_scenario

Fake = Callable[..., str]


def job(url: str, scenario: Scenario, folder: Path) -> tuple[LoadJob, Path]:
    folder.mkdir()
    tape = folder / "noop.jsonl"
    write_tape(tape, (Request("GET", "/api/v1/noop") for _ in range(20_000)))
    return LoadJob(url=url, scenario=scenario, seed=1, tapes={"noop": str(tape)}), folder


def test_each_job_is_counted_by_itself(fake_service: Fake, tmp_path: Path) -> None:
    url = fake_service()
    (tmp_path / "series").mkdir()
    opened = noop_scenario(OpenArrivals(rate=200), 1, warmup=0.3)
    closed = noop_scenario(ClosedArrivals(users=4, think=(0, 0)), 0.5, warmup=0.1)
    with LoadSeries(tmp_path / "series") as series:
        reports = [
            series.run(*job(url, scenario, tmp_path / str(number)))
            for number, scenario in enumerate([opened, closed, opened])
        ]
    first, users, again = (report.operations[0].tally for report in reports)
    assert first.planned == first.ok == again.ok == 200
    assert users.ok == users.sent > 0
    assert not any(report.problem or report.interrupted for report in reports)


def test_the_shortest_job_tells_how_busy_the_generator_was(fake_service: Fake, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    busy = noop_scenario(ClosedArrivals(users=16, think=(0, 0)), 0.2, warmup=0.05)
    calm = noop_scenario(OpenArrivals(rate=10), 0.4, warmup=0)
    with LoadSeries(tmp_path / "series") as series:
        url = fake_service()
        at_work = series.run(*job(url, busy, tmp_path / "busy"))
        at_rest = series.run(*job(url, calm, tmp_path / "calm"))
    assert at_work.cpu == at_work.cpu_mean > at_rest.cpu_mean > 0


def test_left_in_the_middle_of_a_job_it_ends_by_itself(fake_service: Fake, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    with LoadSeries(tmp_path / "series") as series:
        made, folder = job(fake_service(), noop_scenario(OpenArrivals(rate=50), 60, warmup=0), tmp_path / "long")
        write_job(made, folder)
        assert series._running.stdin is not None
        series._running.stdin.write(os.fsencode(folder) + b"\n")
        next(series.lines())
    assert series._running.returncode == 0


def test_a_series_that_is_gone_says_so(fake_service: Fake, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    with LoadSeries(tmp_path / "series") as series:
        series.run(*job(fake_service(), noop_scenario(OpenArrivals(rate=50), 0.3, warmup=0), tmp_path / "one"))
        series._running.kill()
        series._running.wait()
        with pytest.raises(LoadError, match="SIGKILL"):
            series.run(*job(fake_service(), noop_scenario(OpenArrivals(rate=50), 0.3, warmup=0), tmp_path / "two"))
