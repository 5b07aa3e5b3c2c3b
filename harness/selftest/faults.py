"""What is checked: generators that fail in known ways, in front of a sound server, which must not be blamed."""

import os
import signal
from collections.abc import Sequence

import numpy as np

from harness.core.histogram import PERCENTS
from harness.core.recorder import CLOCKS
from harness.core.scenario import FLOOR
from harness.core.targets import Target
from harness.core.verdict import Verdict
from harness.judge.targets import judge_operation, judge_target
from harness.selftest import check
from harness.selftest.cases import CYCLE, Findings, counts, percentiles
from harness.selftest.conditions import Conditions, conditions
from harness.selftest.expected import TAIL_MS, Range, cycle_percentile, frozen_range, tolerance
from harness.selftest.offering import Bench, Offered, Pause, even, offer

LATENCY = Target("latency", "P99", "latency", "lower", 100, 200, "ms", "", "selftest", FLOOR)
"""What a user of a service might ask, and a frozen generator makes it miss."""
RATE = Target("rate", "rate", "rate", "higher", 10_000, 9_000, "1/s", "", "selftest", FLOOR)
"""What no single load process can offer."""
GENERATOR = ("the generator", "load process")
"""How a reason names the one whose fault it is."""


def frozen_generator(bench: Bench) -> Findings:
    """The load process stands still for a second: its lag, not the server."""
    rate, window, seconds = 200, 5, 1.0
    drain = bench.drain_for(rate)
    pauses: list[Pause] = []

    def during(pids: Sequence[int]) -> Pause:
        pauses.append(Pause(pids[0], after=1.0, seconds=seconds))
        return pauses[0]

    with bench.server() as server:
        offered = offer(bench, "a generator that freezes", server, even(rate, window), during=during)
    took = pauses[0].took if pauses else Range(seconds, seconds)
    around = conditions(offered.result, offered.waits, without_lag=True)
    for percent in PERCENTS[1:]:
        wanted = frozen_range(percent, window=window, freeze=took, base=0.0, rate=rate, drain=drain, spacing=1 / rate)
        found = offered.percentile("lag", percent)
        yield check.time(f"lag P{percent:g}", wanted, wanted.widened(tolerance(percent)), found), around
    yield check.below("service P50", TAIL_MS, offered.percentile("service", 50)), around
    yield check.below("service P95", 100, offered.percentile("service", 95)), around
    yield _blamed(offered, "the operation's verdict", None, "the generator lagged"), around
    yield _blamed(offered, "verdict on P99 ≤ 100 ms", LATENCY, "the generator lagged"), around


def saturated(bench: Bench) -> Findings:
    """Far more is offered than one load process can send."""
    rate, seconds = 12_000, 3
    with bench.server() as server:
        offered = offer(bench, "a generator swamped", server, even(rate, seconds, drain=1.0))
    reached = offered.result.achieved_rate(FLOOR) if offered.log else 0.0
    bench.drain = reached or None
    yield _blamed(offered, "the operation's verdict", None, *GENERATOR), Conditions()
    yield _blamed(offered, "verdict on ≥ 10,000/s", RATE, *GENERATOR), Conditions()
    yield check.shown("requests per second reached", f"{reached:,.0f}/s"), Conditions()


def merged(bench: Bench) -> Findings:
    """Two load processes with a share of one plan each: their histograms together are that of all samples."""
    rate, seconds = 200, 5
    delays = ",".join(f"{value:g}x{count}" for value, count in CYCLE)
    with bench.server("--delays", delays) as server:
        offered = offer(bench, "two load processes", server, even(rate, seconds), workers=2)
    around = conditions(offered.result, offered.waits)
    yield from counts(offered, rate * seconds)
    yield check.counts("load processes that reported", 2, {"reported": len(offered.parts)}), around
    yield check.counts("buckets other than the sum", 0, {clock: _different(offered, clock) for clock in CLOCKS}), around

    def expected(percent: float) -> Range:
        value = cycle_percentile(CYCLE, percent)
        return Range(value, value)

    yield from percentiles(offered, "response", expected)


def killed(bench: Bench) -> Findings:
    """One of two load processes is killed midway: half a load must not pass for a whole one."""

    def during(pids: Sequence[int]) -> None:
        os.kill(pids[1], signal.SIGKILL)

    with bench.server() as server:
        offered = offer(bench, "a load process killed", server, even(100, 3), workers=2, during=during)
    yield _blamed(offered, "the operation's verdict", None, "killed by SIGKILL"), Conditions()
    yield _blamed(offered, "verdict on P99 ≤ 100 ms", LATENCY, "killed by SIGKILL"), Conditions()


def _blamed(offered: Offered, figure: str, target: Target | None, *culprits: str) -> check.Check:
    """The judge must say INVALID and name the culprit among its reasons."""
    if target is not None:
        judged = judge_target(target, offered.result)
        verdict, reasons = judged.verdict, judged.reasons
    elif offered.log is not None:
        said = judge_operation(offered.result, offered.log)
        verdict, reasons = said.verdict, said.reasons
    else:
        verdict, reasons = Verdict.NOT_MEASURED, []
    expected = f"INVALID: {culprits[0]}"
    named = any(culprit in reason for reason in reasons for culprit in culprits)
    right = verdict == Verdict.INVALID and named
    measured = expected if right else f"{verdict}: {(reasons or ['no reason'])[0]}"
    return check.says(figure, expected, measured, right)


def _different(offered: Offered, clock: str) -> int:
    """Buckets in which the merged histogram is not the sum of its parts, bucket by bucket."""
    total = offered.result.histogram(FLOOR, clock).to_hdr()
    added = sum(np.ctypeslib.as_array(part.histogram(clock).to_hdr().counts).astype(np.int64) for part in offered.parts)
    return int((np.ctypeslib.as_array(total.counts) != added).sum())
