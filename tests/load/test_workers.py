"""Several workers on Locust's own distribution: merged figures, lost workers, users, wrong shares."""

import os
import signal
from collections.abc import Callable

import pytest

from harness.core.scenario import ClosedArrivals, OpenArrivals
from harness.load.driver import LoadProcess
from harness.load.job import LoadReport
from tests.load.conftest import noop_scenario

pytestmark = pytest.mark.slow
Offer = Callable[..., LoadReport]
Fake = Callable[..., str]


def test_two_workers_offer_one_plan_and_their_histograms_are_one(fake_service: Fake, offer: Offer) -> None:
    seen: list[int] = []
    scenario = noop_scenario(OpenArrivals(rate=300), 3)
    report = offer(fake_service(), scenario, workers=2, during=lambda process: seen.append(len(process.generators())))
    (log,) = report.operations
    assert seen == [2]
    assert (report.workers, report.reported, report.problem) == (2, 2, "")
    assert log.tally.planned == log.tally.sent == log.tally.ok == 900
    for clock in ("response", "service", "lag", "server"):
        assert log.histogram(clock).count == 900
    assert log.histogram("server").percentile(99.9) == 500
    assert report.warmup is not None
    assert report.warmup.dropped == pytest.approx(300, abs=60)


def test_users_are_spread_over_the_workers(fake_service: Fake, offer: Offer) -> None:
    scenario = noop_scenario(ClosedArrivals(users=10, think=(0.05, 0.15)), 3)
    report = offer(fake_service(), scenario, workers=2)
    (log,) = report.operations
    assert log.tally.ok == log.tally.sent
    assert log.tally.ok == pytest.approx(300, rel=0.2)


def test_a_killed_worker_is_told_and_the_run_ends_early(fake_service: Fake, offer: Offer) -> None:
    def kill(process: LoadProcess) -> None:
        os.kill(process.generators()[0], signal.SIGKILL)

    report = offer(fake_service(), noop_scenario(OpenArrivals(rate=100), 30), workers=2, during=kill)
    assert (report.workers, report.reported) == (2, 1)
    assert "was lost: killed by SIGKILL" in report.problem
    assert report.seconds < 20


def test_a_service_that_no_worker_reaches_is_told_before_anything_is_sent(
    offer: Offer, free_tcp_port: Callable[[], int]
) -> None:
    url = f"http://127.0.0.1:{free_tcp_port()}"
    report = offer(url, noop_scenario(OpenArrivals(rate=100), 2), workers=2)
    assert report.reported == 0
    assert "does not reach the service" in report.problem


def test_an_interrupt_reaches_all_workers(fake_service: Fake, offer: Offer) -> None:
    report = offer(
        fake_service(), noop_scenario(OpenArrivals(rate=100), 60), workers=2, during=lambda process: process.interrupt()
    )
    assert report.interrupted
    assert report.reported == 2
    assert report.seconds < 30
