"""Reasons not to believe a scenario's figures: each with its own figure and what to try next."""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

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
        yield Doubt(f"the generator failed: {result.failure}", "run it again", passing=True)
    elif result.status == "interrupted":
        yield Doubt(f"interrupted after {result.seconds:.1f} s of {planned:g} s", "let the run come to its end")
    generator = result.generator
    if generator.reported < generator.workers:
        yield Doubt(
            f"{generator.workers - generator.reported} of {generator.workers} load processes did not report",
            "see whether something killed them (memory?)",
            passing=True,
        )
    if generator.cpu_mean > CPU_BOUND:
        yield Doubt(
            f"the generator used {generator.cpu_mean:.0%} of its core",
            "lower the rate: one load process has one core",
            passing=True,
        )
    if generator.steal is not None and generator.steal > STEAL_BOUND:
        yield Doubt(
            f"the hypervisor took {generator.steal:.0%} of the CPU time",
            "run on a quieter machine",
            passing=True,
        )


def of_operation(result: ScenarioResult, log: OperationLog) -> Iterator[Doubt]:
    """What casts doubt on every figure of one operation."""
    tally = log.tally
    if tally.sent == 0:
        yield Doubt("no request was sent: nothing was measured", "lengthen the measure phase")
        return
    recorded = result.histogram(log.name, "response").count
    if recorded + tally.out_of_range != tally.ok or tally.censored < 0:
        yield Doubt(f"{tally.ok} successful requests but {recorded} recorded", "report this as a defect of membench")
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
            "lower the rate, or leave the generator a core of its own",
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
