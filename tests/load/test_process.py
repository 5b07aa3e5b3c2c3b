"""Load processes: schedules kept, counts that add up, early ends, failures told."""

import signal
from collections.abc import Callable

import msgspec
import pytest

from harness.core.errors import LoadError
from harness.core.scenario import ClosedArrivals, OpenArrivals
from harness.core.secrets import KEY_VARIABLE
from harness.load.driver import LoadProcess
from harness.load.job import LoadReport
from harness.load.loader import load
from harness.load.servertiming import server_time
from harness.telemetry.service import fetch
from tests.load.conftest import noop_scenario
from tests.ports import free_port


class Batched(msgspec.Struct):
    content: str


Offer = Callable[..., LoadReport]
Fake = Callable[..., str]


@pytest.mark.parametrize("process", ["uniform", "poisson"])
def test_an_open_schedule_is_kept(fake_service: Fake, offer: Offer, process: str) -> None:
    scenario = noop_scenario(OpenArrivals(rate=300, process=process), 3)  # type: ignore[arg-type]
    report = offer(fake_service(), scenario)
    (log,) = report.operations
    assert log.tally.planned == log.tally.sent == log.tally.ok == 900
    assert sum(i.completed for i in log.intervals if 0 <= i.second < 3) == pytest.approx(900, rel=0.03)
    assert log.histogram("server").percentile(50) == 500
    assert report.seconds == pytest.approx(3)
    assert not report.interrupted


def test_users_who_think_make_a_closed_loop(fake_service: Fake, offer: Offer) -> None:
    scenario = noop_scenario(ClosedArrivals(users=20, think=(0.05, 0.15)), 3)
    (log,) = offer(fake_service(), scenario).operations
    assert log.tally.ok == log.tally.sent == log.tally.planned
    assert log.tally.ok == pytest.approx(600, rel=0.15)


def test_over_the_cap_requests_are_skipped_and_counted(fake_service: Fake, offer: Offer) -> None:
    scenario = noop_scenario(OpenArrivals(rate=200, process="uniform", max_in_flight=20), 3)
    report = offer(fake_service("--freeze", 1, "--at", 2), scenario)
    (log,) = report.operations
    assert log.tally.skipped == pytest.approx(180, abs=25)
    assert log.tally.planned == log.tally.sent + log.tally.skipped == 600
    assert report.max_in_flight == 20


def test_what_does_not_end_within_the_drain_is_counted_as_censored(fake_service: Fake, offer: Offer) -> None:
    scenario = noop_scenario(OpenArrivals(rate=50, process="uniform"), 2)
    (log,) = offer(fake_service("--freeze", 12, "--at", 2), scenario).operations
    assert log.tally.censored == pytest.approx(50, abs=10)
    assert log.tally.sent == log.tally.ok + log.tally.error + log.tally.censored == 100


def test_failures_are_counted_by_kind(fake_service: Fake, offer: Offer) -> None:
    scenario = noop_scenario(OpenArrivals(rate=100, process="uniform"), 1, warmup=0.2)
    (log,) = offer(fake_service("--status", 500), scenario).operations
    assert log.errors == {"HTTP 500": 100}
    (dead,) = offer(f"http://127.0.0.1:{free_port()}", scenario).operations
    assert dead.errors == {"ConnectionRefusedError": 100}
    assert dead.histogram("response").count == 0


@pytest.mark.parametrize("when", ["warm-up", "measure"])
def test_an_interrupt_leaves_what_was_measured(fake_service: Fake, offer: Offer, when: str) -> None:
    scenario = noop_scenario(OpenArrivals(rate=100, process="uniform"), 30, warmup=1 if when == "measure" else 30)
    seen: list[str] = []

    def run() -> LoadReport:
        import tempfile
        from pathlib import Path

        from harness.core.tape import Request, write_tape
        from harness.load.job import LoadJob, Progress

        with tempfile.TemporaryDirectory() as folder:
            tape = Path(folder) / "noop.jsonl"
            write_tape(tape, (Request("GET", "/") for _ in range(10_000)))
            job = LoadJob(url=fake_service(), scenario=scenario, seed=1, tapes={"noop": str(tape)})
            with LoadProcess(job, Path(folder)) as process:
                for line in process.lines():
                    if isinstance(line, Progress) and line.phase == when and not seen:
                        seen.append(line.phase)
                        process.interrupt()
                return process.report()

    report = run()
    (log,) = report.operations
    assert report.interrupted
    assert report.seconds < 10
    assert log.tally.sent == log.tally.ok
    assert (log.tally.ok > 0) == (when == "measure")


def test_a_killed_load_process_is_told(fake_service: Fake, offer: Offer) -> None:
    import os

    def kill(process: LoadProcess) -> None:
        os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(LoadError, match="killed by SIGKILL"):
        offer(fake_service(), noop_scenario(OpenArrivals(rate=50), 10), during=kill)


def test_a_service_that_hangs_up_is_not_hidden_by_retries(fake_service: Fake, offer: Offer) -> None:
    scenario = noop_scenario(OpenArrivals(rate=50, process="uniform"), 1, warmup=0.2)
    (log,) = offer(fake_service("--hang-up"), scenario).operations
    assert log.errors == {"HTTPConnectionClosed": 50}


def test_a_low_limit_of_open_files_is_raised(fake_service: Fake, offer: Offer) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    scenario = noop_scenario(OpenArrivals(rate=200, process="uniform"), 2, warmup=0.2)
    url = fake_service("--freeze", 1.5, "--at", 0.5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 120), hard))
    try:
        report = offer(url, scenario)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (log,) = report.operations
    assert report.max_in_flight > 120
    assert log.tally.sent == log.tally.ok == 400


def test_a_service_below_a_path(fake_service: Fake, offer: Offer) -> None:
    scenario = noop_scenario(OpenArrivals(rate=50, process="uniform"), 1, warmup=0.2)
    (log,) = offer(fake_service("--root", "/memory") + "/memory", scenario).operations
    assert log.tally.ok == 50


def test_a_service_with_keys(fake_service: Fake, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = fake_service("--key", "a-key-of-the-service")
    scenario = noop_scenario(OpenArrivals(rate=50, process="uniform"), 1, warmup=0.2)
    (refused,) = offer(url, scenario).operations
    assert refused.errors == {"HTTP 401": 50}
    assert fetch(f"{url}/metrics") is None
    monkeypatch.setenv(KEY_VARIABLE, "a-key-of-the-service")
    (taken,) = offer(url, scenario).operations
    assert taken.tally.ok == 50
    assert fetch(f"{url}/metrics")
    told: list[str] = []
    load(url, [[Batched("a text")]], lambda batch, ids: told.extend(ids))
    assert told == ["0"]


def test_a_tape_too_short_is_the_generators_problem(fake_service: Fake, offer: Offer) -> None:
    report = offer(fake_service(), noop_scenario(OpenArrivals(rate=100), 2, warmup=0.2), requests=50)
    assert "tape of noop ended" in report.problem


@pytest.mark.parametrize(
    ("header", "microseconds"),
    [
        ("total;dur=1.234", 1234.0),
        ("cache;desc=hit, total;dur=0.5;desc=x", 500.0),
        (["db;dur=9", "total;dur=2"], 2000.0),
        ('total; dur="3"', 3000.0),
        ('total;desc="all";dur=3', 3000.0),
        ("total;dur=soon", -1.0),
        ("total;dur=nan", -1.0),
        ("total;dur=-0.001", -1.0),
        ("db;dur=3", -1.0),
        ("", -1.0),
        (None, -1.0),
    ],
)
def test_server_timing(header: str | list[str] | None, microseconds: float) -> None:
    assert server_time(header) == pytest.approx(microseconds)
