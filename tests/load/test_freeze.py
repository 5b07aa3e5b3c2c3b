"""The instrument against servers and generators that freeze: real HTTP, real Locust processes."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from harness.core.scenario import OpenArrivals
from harness.load.driver import LoadProcess
from harness.load.job import LoadReport
from tests.load.conftest import noop_scenario

pytestmark = pytest.mark.slow
QUANTILES = (50, 95, 99, 99.9)
FREEZE_AT = 3.0
BASE_MS = 1.0
SLOWEST_DRAIN = 1000.0
"""Answers per second that the generator takes in after a freeze, at the least, on a machine with other work."""

Offer = Callable[..., LoadReport]


def uniform(rate: float, seconds: float) -> object:
    return noop_scenario(OpenArrivals(rate=rate, process="uniform", max_in_flight=4096), seconds)


def frozen_for(quantile: float, seconds: float, freeze: float, busy: float = 0.0) -> float:
    """What a freeze makes of a quantile, ms, where the share `busy` of the drain goes to requests that still come."""
    return max(BASE_MS, (freeze - (1 - quantile / 100) * seconds * (1 - busy)) * 1e3 + BASE_MS)


@pytest.mark.parametrize(("rate", "seconds", "freeze"), [(150, 10, 1.5)])
def test_a_server_that_freezes(
    fake_service: Callable[..., str], offer: Offer, rate: float, seconds: float, freeze: float
) -> None:
    url = fake_service("--freeze", freeze, "--at", FREEZE_AT)
    (log,) = offer(url, uniform(rate, seconds)).operations
    response, service = log.histogram("response"), log.histogram("service")
    assert log.tally.ok == log.tally.planned == rate * seconds
    found = {quantile: (response.percentile(quantile) or 0) / 1e3 for quantile in QUANTILES}
    for quantile, value in found.items():
        # The formula's drain takes no time. With a drain of mu answers per second, the request due x into a freeze
        # waits S - x + x rate / mu: never less than the formula, and more the slower the machine.
        at_once = frozen_for(quantile, seconds, freeze)
        drained = frozen_for(quantile, seconds, freeze, rate / SLOWEST_DRAIN)
        assert 0.97 * at_once - 5 <= value <= 1.03 * drained + 10, (quantile, found)
    # The generator kept its plan while the server stood still.
    assert service.percentile(99) == pytest.approx(response.percentile(99), rel=0.05)


def test_a_generator_that_freezes_is_told_from_a_server_that_does(
    fake_service: Callable[..., str], offer: Offer
) -> None:
    def freeze(process: LoadProcess) -> None:
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(1.0, os.kill, (process.pid, signal.SIGCONT)).start()

    (log,) = offer(fake_service(), uniform(200, 6), during=freeze).operations
    lag, service = log.histogram("lag"), log.histogram("service")
    assert (lag.percentile(99) or 0) > 700_000
    # A sixth of the requests go out at once after the freeze; how long that takes is the machine's.
    assert (service.percentile(95) or 0) < (lag.percentile(95) or 0) / 2
    assert (log.histogram("response").percentile(99) or 0) > 700_000
    assert log.tally.ok == log.tally.planned


def test_a_generator_that_sleeps_through_the_end_of_its_plan_says_so(
    fake_service: Callable[..., str], offer: Offer
) -> None:
    def freeze(process: LoadProcess) -> None:
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(8.0, os.kill, (process.pid, signal.SIGCONT)).start()

    report = offer(fake_service(), uniform(100, 2), during=freeze)
    assert "not offered to its end" in report.problem or report.operations[0].tally.planned == 200


def test_a_server_stopped_and_continued(fake_service: Callable[..., str], offer: Offer) -> None:
    import psutil

    url = fake_service()
    port = int(url.rpartition(":")[2])
    pid = next(c.pid for c in psutil.net_connections("tcp4") if c.laddr and c.laddr.port == port and c.pid)

    def stop(process: LoadProcess) -> None:
        def play() -> None:
            time.sleep(1)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(1)
            os.kill(pid, signal.SIGCONT)

        threading.Thread(target=play).start()

    (log,) = offer(url, uniform(200, 8), during=stop).operations
    assert (log.histogram("response").percentile(99) or 0) / 1e3 == pytest.approx(920, rel=0.1)
    assert (log.histogram("lag").percentile(99) or 0) < (log.histogram("response").percentile(99) or 0) / 2
