"""What is checked: servers that misbehave in known ways, in front of a sound generator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.core.histogram import PERCENTS
from harness.core.recorder import CLOCKS
from harness.core.scenario import ClosedArrivals
from harness.selftest import check
from harness.selftest.check import Check
from harness.selftest.conditions import Conditions, conditions
from harness.selftest.expected import Range, cycle_percentile, frozen, frozen_range, tolerance
from harness.selftest.offering import WARMUP, Bench, Offered, Pause, even, offer, scenario

Findings = Iterator[tuple[Check, Conditions]]
"""Each check of a case, and what the machine did meanwhile."""
STOP_AT: Final = 2.0
"""Seconds of the measure phase after which a server is stopped."""
FREEZE_AT: Final = WARMUP + STOP_AT
"""Seconds after the first request from which a server freezes."""
LAG_MS: Final = 50.0
"""The judge's own bound: beyond it the load was not offered as planned."""
CYCLE: Final = ((5.0, 140), (20.0, 54), (50.0, 5), (100.0, 1))
"""Milliseconds x how many: each of P50, P95, P99, P99.9 lies well within one of the four, none at an edge."""


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: on the command line.
        title: in the table.
        seconds: how long it takes, about.
        run: measures it and yields its checks.
        needs: the cases that must have run before it.
    """

    name: str
    title: str
    seconds: float
    run: Callable[[Bench], Findings]
    needs: tuple[str, ...] = ()


def percentiles(offered: Offered, clock: str, expected: Callable[[float], Range]) -> Findings:
    """A clock's percentiles against the range expected of each."""
    around = conditions(offered.result, offered.waits, without_lag=clock == "server")
    for percent in PERCENTS:
        wanted, found = expected(percent), offered.percentile(clock, percent)
        yield check.time(f"{clock} P{percent:g}", wanted, wanted.widened(tolerance(percent)), found), around


def lag(offered: Offered) -> Findings:
    """The generator kept to its plan."""
    around = conditions(offered.result, offered.waits)
    yield check.below("lag P99", LAG_MS, offered.percentile("lag", 99)), around


def counts(offered: Offered, planned: int) -> Findings:
    """Every planned request was sent, every sent one ended, and every ended one is in the histograms."""
    found = {"planned": 0}
    if offered.log is not None:
        tally = offered.log.tally
        found = {"planned": tally.planned, "sent": tally.sent, "ended": tally.ok + tally.error + tally.censored}
        found |= {clock: offered.result.histogram(offered.log.name, clock).count for clock in CLOCKS}
    yield (
        check.counts("planned = sent = ended = recorded", planned, found),
        conditions(offered.result, offered.waits),
    )


def idle(bench: Bench) -> Findings:
    """A server that answers at once: nothing may be lost, late or added."""
    rate, seconds = 200, 6
    with bench.server() as server:
        offered = offer(bench, "a server that does nothing", server, even(rate, seconds))
    around = conditions(offered.result, offered.waits)
    yield from counts(offered, rate * seconds)
    achieved = offered.result.achieved_rate(offered.log.name) if offered.log else 0.0
    yield check.rate("requests per second", rate, 0.01, achieved, seconds), around
    service, response = offered.percentile("service", 50), offered.percentile("response", 50)
    bench.floor = (service or 0) / 1e3
    own = Range(bench.floor, bench.floor)
    yield check.time("response P50 = service P50", own, own.widened(1.0), response), around
    yield check.counts("server P50 as it says, µs", 500, {"µs": offered.percentile("server", 50) or 0}), around
    yield from lag(offered)
    yield check.shown("floor P99", check.milliseconds(offered.percentile("response", 99))), around


def quantiles(bench: Bench) -> Findings:
    """A server whose service times are known."""
    rate, seconds = 200, 6
    delays = ",".join(f"{value:g}x{count}" for value, count in CYCLE)
    with bench.server("--delays", delays) as server:
        offered = offer(bench, "a server of known quantiles", server, even(rate, seconds))

    def expected(percent: float) -> Range:
        value = cycle_percentile(CYCLE, percent)
        return Range(value, value)

    for clock in ("response", "service", "server"):
        yield from percentiles(offered, clock, expected)
    yield from lag(offered)


def freeze(rate: float, window: float, seconds: float, base: float) -> Callable[[Bench], Findings]:
    """A server that freezes once, as a function of the bench.

    Args:
        rate: requests per second.
        window: T, seconds.
        seconds: S.
        base: b, ms: for how long the server holds each answer.
    """

    def run(bench: Bench) -> Findings:
        drain = bench.drain_for(rate)
        options = ["--freeze", seconds, "--at", FREEZE_AT, *(["--delays", f"{base:g}x1"] if base else [])]
        with bench.server(*options) as server:
            offered = offer(bench, "a server that freezes", server, even(rate, window))
        took = server.frozen[0] if server.frozen else seconds
        unfrozen = base + bench.floor

        def expected(percent: float) -> Range:
            stood = Range(took, took)
            return frozen_range(percent, window=window, freeze=stood, base=unfrozen, rate=rate, drain=drain)

        yield from percentiles(offered, "response", expected)
        yield from lag(offered)

    return run


def waiting_users(bench: Bench) -> Findings:
    """The same freeze as a tool sees it that waits for each answer: shown, so that a reader sees what it hides."""
    window, seconds = 20, 2.0
    with bench.server("--freeze", seconds, "--at", FREEZE_AT, "--delays", "2x1") as server:
        closed = scenario(ClosedArrivals(users=10, think=(0.045, 0.045)), window)
        offered = offer(bench, "users who wait", server, closed)
    for percent in PERCENTS:
        truth = frozen(percent, window=window, freeze=seconds, base=2)
        found = offered.percentile("response", percent)
        yield check.hidden(f"response P{percent:g}", Range(truth, truth), found), Conditions()


def stop(bench: Bench) -> Findings:
    """A server that SIGSTOP stops and SIGCONT continues."""
    rate, window, seconds = 200, 6, 0.8
    drain = bench.drain_for(rate)
    pauses: list[Pause] = []
    with bench.server() as server:

        def during(pids: object) -> Pause:
            pauses.append(Pause(server.pid, after=STOP_AT, seconds=seconds))
            return pauses[0]

        offered = offer(bench, "a server stopped and continued", server, even(rate, window), during=during)
    took = pauses[0].took if pauses else Range(seconds, seconds)

    def expected(percent: float) -> Range:
        return frozen_range(
            percent, window=window, freeze=took, base=bench.floor, rate=rate, drain=drain, spacing=1 / rate
        )

    yield from percentiles(offered, "response", expected)
    yield from lag(offered)
