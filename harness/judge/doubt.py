"""Reasons not to believe a scenario's figures: each with its own figure and what to try next."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from harness.core.readings import GeneratorHealth
from harness.core.record import ScenarioResult
from harness.core.recorder import OperationLog

LAG_BOUND_US: Final = 50_000.0
"""Beyond it the load was not offered as planned, whatever the target."""
CPU_BOUND: Final = 0.9
"""Share of its one core above which a generator's own queue shows in every figure."""
LEAST_SECONDS: Final = 5.0
"""Below it the seconds at both ends weigh too much in a rate."""
STEAL_BOUND: Final = 0.1
"""Share of CPU time taken by the hypervisor above which the machine was not ours."""

SHIFT_BOUND: Final = 0.25
"""Seconds by which wall and monotonic clock may part in one phase. Both are slewed alike: apart they only jump."""
SLEEP_BOUND: Final = 0.01
"""Seconds that a host may sleep in a phase: none, but its clocks are not read in the same instant."""


class Doubt(Struct, frozen=True):
    """One reason.

    Attributes:
        reason: what is wrong, with its figure.
        hint: what to try next.
        passing: whether it may be gone when the phase is repeated.
    """

    reason: str
    hint: str
    passing: bool = False


def of_scenario(result: ScenarioResult) -> Iterator[Doubt]:
    """What casts doubt on every figure of a scenario."""
    planned = result.scenario.phases.measure
    if result.status == "failed":
        hint = "run it again; if it stays so, lower the rate, or report it as a defect of membench"
        yield Doubt(f"the generator failed: {result.failure}", hint, passing=True)
    elif result.status == "interrupted":
        yield Doubt(f"interrupted after {result.seconds:.1f} s of {planned:g} s", "let the run come to its end")
    generator = result.generator
    if generator.reported < generator.workers:
        yield Doubt(
            f"{generator.workers - generator.reported} of {generator.workers} load processes did not report",
            "see whether something killed them: dmesg tells of the kernel, when memory ran out",
            passing=True,
        )
    if generator.cpu_mean > CPU_BOUND:
        yield Doubt(
            f"the generator used {generator.cpu_mean:.0%} of its core",
            "lower --rate: one load process has one core",
            passing=True,
        )
    if generator.steal is not None and generator.steal > STEAL_BOUND:
        yield Doubt(
            f"the hypervisor took {generator.steal:.0%} of the CPU time",
            "run on a quieter machine, or one whose processors are not shared",
            passing=True,
        )
    yield from _of_clocks(generator)


def _of_clocks(generator: GeneratorHealth) -> Iterator[Doubt]:
    if generator.suspended > SLEEP_BOUND:
        yield Doubt(
            f"the host slept for {generator.suspended:.2f} s of the measure phase",
            "keep it from being suspended (systemd-inhibit membench run ...), and run it again",
            passing=True,
        )
    if abs(generator.clock_shift) > SHIFT_BOUND:
        yield Doubt(
            f"the wall clock jumped by {generator.clock_shift:+.2f} s against the monotonic clock",
            "see whether the host was paused, moved, or had its clock set (timedatectl), and run it again",
            passing=True,
        )


def of_operation(result: ScenarioResult, log: OperationLog) -> Iterator[Doubt]:
    """What casts doubt on every figure of one operation."""
    tally = log.tally
    if tally.sent == 0:
        yield Doubt("no request was sent: nothing was measured", "lengthen the measure phase")
        return
    yield from of_counts(result, log)


def of_counts(result: ScenarioResult, log: OperationLog) -> Iterator[Doubt]:
    """Whether what was due, sent and recorded adds up."""
    tally = log.tally
    recorded = result.histogram(log.name, "response").count
    if recorded + tally.out_of_range != tally.ok:
        yield Doubt(f"{tally.ok} successful requests but {recorded} recorded", "report this as a defect of membench")
    if tally.censored < 0:
        yield Doubt(
            f"{tally.ok + tally.error} requests were recorded but only {tally.sent} sent",
            "report this as a defect of membench",
        )
    if tally.planned != tally.sent + tally.skipped:
        yield Doubt(
            f"{tally.planned} requests were due, {tally.sent} sent and {tally.skipped} skipped",
            "report this as a defect of membench",
        )
    if tally.out_of_range:
        yield Doubt(f"{tally.out_of_range} times were beyond an hour or negative", "check the host's clock")


def of_lag(result: ScenarioResult, operation: str) -> Iterator[Doubt]:
    """Whether the generator kept to its plan at all."""
    lag = result.histogram(operation, "lag").percentile(99)
    if lag is not None and lag > LAG_BOUND_US:
        yield Doubt(
            f"the generator lagged: 1% of requests were sent more than {lag / 1e3:.0f} ms late",
            "lower --rate, or leave the generator a core of its own (--steady, on four or more)",
            passing=True,
        )


def of_length(result: ScenarioResult) -> Iterator[Doubt]:
    """Whether the phase is long enough for a rate: it counts whole seconds."""
    if result.seconds < LEAST_SECONDS:
        yield Doubt(
            f"{result.seconds:.1f} s are too short for a rate, which needs {LEAST_SECONDS:g} s",
            "lengthen the measure phase with --duration",
        )


def of_skips(log: OperationLog) -> Iterator[Doubt]:
    """Whether requests were left out since too many were in flight."""
    if log.tally.skipped:
        yield Doubt(
            f"{log.tally.skipped} of {log.tally.planned} requests were not sent: too many were in flight",
            "lower the rate: this service does not keep up with it",
        )
