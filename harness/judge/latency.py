"""Judging a latency: the percentile against its bounds, the floor under it, the generator's lag within it."""

from typing import Final

from harness.core.histogram import enough_for
from harness.core.record import ScenarioResult
from harness.core.recorder import OperationLog
from harness.core.targets import Target
from harness.core.verdict import Verdict
from harness.judge import doubt
from harness.judge.doubt import Doubt
from harness.judge.figure import ERRORS_WARN, LONGER, Figure, against_bounds, by_errors

LAG_SHARE: Final = 0.1
"""Share of the judged percentile above which the generator's lag might have made the verdict."""
FLOOR_SHARE: Final = 0.5
"""Share of a target that the floor may take before it hides the target."""
FLOOR_STALLED: Final = 10.0
"""Multiples of a target above which a floor is no floor: something stood still under both."""
NOISE_SHARE: Final = 0.5
"""Share of the floor by which two tails of some thousand requests each may differ on a busy machine."""


def latency(target: Target, result: ScenarioResult) -> Figure:
    """The figure of a latency target."""
    log = result.operation(target.operation or "")
    verdict, reasons = by_errors(log)
    few = _few(target, log)
    if verdict == Verdict.FAIL:
        value = None if few else _percentile(target, result, target.clock)
        return Figure(verdict=verdict, reasons=reasons, value=value, clock=target.clock)
    figure = Figure(clock=target.clock)
    figure.doubted([*doubt.of_operation(result, log), *doubt.of_lag(result, log.name), *few])
    figure.value = None if few else _percentile(target, result, target.clock)
    if figure.doubts:
        return figure
    if figure.value is None:
        return _unanswered(target, result, figure)
    figure.verdict = against_bounds(target, figure.value)
    _consider_floor(target, result, figure)
    if figure.clock != "server":
        _consider_lag(target, result, figure)
    if figure.verdict != Verdict.FAIL:
        figure.doubted(doubt.of_skips(log))
    if verdict == Verdict.WARN and figure.verdict == Verdict.PASS:
        figure.verdict, figure.reasons = Verdict.WARN, figure.reasons + reasons
    return figure


def _few(target: Target, log: OperationLog) -> list[Doubt]:
    needed = enough_for(target.percentile)
    if not 0 < log.tally.ok < needed:
        return []
    return [Doubt(f"{log.tally.ok} requests are too few for a P{target.percentile:g}, which needs {needed}", LONGER)]


def _percentile(target: Target, result: ScenarioResult, clock: str) -> float | None:
    operation = target.operation or ""
    censored = result.operation(operation).tally.censored if clock != "lag" else 0
    value = result.histogram(operation, clock).percentile(target.percentile, unknown_above=max(censored, 0))
    return None if value is None else value / target.microseconds


def _unanswered(target: Target, result: ScenarioResult, figure: Figure) -> Figure:
    """The percentile falls among requests that were never answered: it is longer than the drain, at least."""
    drain = result.scenario.phases.drain
    censored = result.operation(target.operation or "").tally.censored
    reason = f"{censored} requests had no answer {drain:g} s after the last was due"
    if target.meets(drain * 1e6 / target.microseconds, target.critical) or result.status != "complete":
        return figure.doubted([Doubt(reason, "lengthen phases.drain in the scenario's file")])
    figure.verdict = Verdict.FAIL
    figure.reasons.append(reason)
    return figure


def _consider_floor(target: Target, result: ScenarioResult, figure: Figure) -> None:
    """Judge the service's own clock where client and loopback alone take more of the target than they leave."""
    floor = _floor(target, result)
    if floor is None or figure.value is None:
        return
    seen, figure.floor = figure.value, floor
    if not target.floor or floor <= FLOOR_SHARE * target.target or figure.verdict == Verdict.PASS:
        return
    unit = target.unit
    if floor > FLOOR_STALLED * target.target:
        reason = (
            f"the no-op endpoint stalled as well (P{target.percentile:g} {floor:.1f} {unit}): the host or the whole "
            "server process stood still"
        )
        hint = "look at the timeline, and run it again on a quieter machine"
        figure.doubted([Doubt(reason, hint, passing=True)])
        return
    if seen - floor > max(target.critical, NOISE_SHARE * floor):
        # More than the floor explains: what the service does not time itself (a queue before its handler, say).
        figure.reasons.append(f"the no-op endpoint's own figure here is {floor:.2f} {unit}")
        return
    own = _percentile(target, result, "server")
    if own is None or _untimed(result.operation(target.operation or "")):
        reason = (
            f"the floor's own P{target.percentile:g} is {floor:.2f} {unit}: it hides the target, and the service does "
            "not tell its own time with each answer"
        )
        figure.doubted([Doubt(reason, "have the service send a Server-Timing header with every answer")])
        return
    figure.value, figure.clock = own, "server"
    figure.verdict = against_bounds(target, own)
    figure.reasons.append(
        f"the no-op endpoint alone takes {floor:.2f} {unit} here, so no client can show {target.target:g} {unit}: "
        f"the service's own clock is judged (seen by the client: {seen:.2f} {unit})"
    )


def _floor(target: Target, result: ScenarioResult) -> float | None:
    """The floor's percentile; None where it was not measured well enough to be one."""
    if result.floor_operation is None:
        return None
    log = result.operation(result.floor_operation)
    histogram = result.histogram(log.name, target.clock)
    if histogram.count < enough_for(target.percentile) or by_errors(log)[0] != Verdict.PASS:
        return None
    value = histogram.percentile(target.percentile, unknown_above=max(log.tally.censored, 0))
    return None if value is None else value / target.microseconds


def _untimed(log: OperationLog) -> bool:
    """Whether so many answers came without the service's own time that the others may be a choice of the fast ones."""
    return log.tally.without_server_clock > ERRORS_WARN * log.tally.ok


def _consider_lag(target: Target, result: ScenarioResult, figure: Figure) -> None:
    """INVALID where the generator's lag, and not the service, may have made the verdict."""
    lag = _percentile(target, result, "lag")
    without = _percentile(target, result, "service")
    if lag is None or without is None or figure.value is None or lag <= LAG_SHARE * figure.value:
        return
    if figure.verdict != Verdict.INVALID and against_bounds(target, without) != figure.verdict:
        reason = (
            f"the generator's lag (P{target.percentile:g} {lag:.2f} {target.unit}) decides the verdict: without it the "
            f"figure is {without:.2f} {target.unit}"
        )
        hint = "lower --rate, or leave the generator a core of its own (--steady, on four or more)"
        figure.doubted([Doubt(reason, hint, passing=True)])
