"""Verdicts: each target against the figure that a run measured for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from harness.core.histogram import enough_for
from harness.core.record import OperationVerdict, RunRecord, ScenarioResult, TargetResult
from harness.core.recorder import OperationLog
from harness.core.scenario import ClosedArrivals
from harness.core.targets import Target
from harness.core.verdict import Verdict, overall
from harness.judge import doubt
from harness.judge.doubt import Doubt

ERRORS_WARN: Final = 0.01
ERRORS_FAIL: Final = 0.05
"""Shares of failed requests, the guide's own bounds: a service that fails fast must not pass for a fast one."""
LAG_SHARE: Final = 0.1
"""Share of the judged percentile above which the generator's lag might have made the verdict."""
FLOOR_SHARE: Final = 0.5
"""Share of a target that the floor may take before it hides the target."""
SERVED_SHARE: Final = 0.95
KEPT_UP: Final = 0.98
_LEAST_SAMPLES: Final = 100


@dataclass
class _Figure:
    """A figure on its way to a verdict."""

    value: float | None = None
    verdict: Verdict = Verdict.INVALID
    clock: str = ""
    floor: float | None = None
    reasons: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def doubted(self, doubts: Iterable[Doubt]) -> "_Figure":
        """INVALID for each of the doubts there are."""
        for one in doubts:
            self.verdict = Verdict.INVALID
            self.reasons.append(one.reason)
            self.doubts.append(one)
        return self


def judge(record: RunRecord, targets: Sequence[Target]) -> None:
    """Fill in a record's verdicts: of its operations, its targets and the whole."""
    for result in record.scenarios:
        result.verdicts = {log.name: judge_operation(result, log) for log in result.operations}
    record.targets = [judge_target(target, record.scenario(target.scenario)) for target in targets]
    operations = [verdict.verdict for result in record.scenarios for verdict in result.verdicts.values()]
    judged = [target.verdict for target in record.targets if target.verdict != Verdict.NOT_MEASURED]
    # Judged figures decide. Operations that no target judges still fail a run when the service failed them.
    decisive = judged + [verdict for verdict in operations if verdict == Verdict.FAIL or not judged]
    decisive += [Verdict.PASS] * bool(record.micro)
    record.verdict = overall(decisive)
    record.reasons = [] if decisive else ["nothing was measured"]


def judge_operation(result: ScenarioResult, log: OperationLog) -> OperationVerdict:
    """Whether an operation was served at all, and whether its figures can be believed, apart from any target."""
    doubts = [
        *doubt.of_scenario(result),
        *doubt.of_operation(result, log),
        *doubt.of_lag(result, log.name),
        *doubt.of_skips(log),
    ]
    verdict, reasons = _by_errors(log)
    if verdict != Verdict.FAIL and doubts:
        verdict = Verdict.INVALID
    return OperationVerdict(verdict, reasons + [d.reason for d in doubts], [d.hint for d in doubts])


def judge_target(target: Target, result: ScenarioResult | None) -> TargetResult:
    """One target's verdict."""
    if result is None:
        figure = _Figure(verdict=Verdict.NOT_MEASURED, reasons=[f"the scenario {target.scenario} did not run"])
    else:
        figure = _figure(target, result)
    return TargetResult(
        id=target.id,
        title=target.title,
        unit=target.unit,
        target=target.target,
        critical=target.critical,
        better=target.better,
        scenario=target.scenario,
        method=target.method,
        verdict=figure.verdict,
        value=figure.value,
        clock=figure.clock,
        floor=figure.floor,
        reasons=figure.reasons,
        hints=list(dict.fromkeys(one.hint for one in figure.doubts)),
    )


def worth_repeating(result: ScenarioResult, targets: Sequence[Target]) -> list[str]:
    """Why a scenario should be measured again: judged figures stayed INVALID for reasons that may pass.

    Args:
        result: of the scenario.
        targets: all there are; where none is judged by this scenario, its operations decide.

    Returns:
        the reasons, none where repeating it would not help.
    """
    own = [target for target in targets if target.scenario == result.name]
    if own:
        doubts = [one for target in own for one in _figure(target, result).doubts]
    else:
        doubts = [*doubt.of_scenario(result)]
        doubts += [one for log in result.operations for one in doubt.of_lag(result, log.name)]
    return list(dict.fromkeys(one.reason for one in doubts if one.passing))


def _figure(target: Target, result: ScenarioResult) -> _Figure:
    if not result.operations:
        return _Figure().doubted(doubt.of_scenario(result))
    figure = _METRICS[target.metric](target, result)
    return figure.doubted(doubt.of_scenario(result)) if figure.verdict in (Verdict.PASS, Verdict.WARN) else figure


def _against_bounds(target: Target, value: float) -> Verdict:
    if target.meets(value, target.target):
        return Verdict.PASS
    return Verdict.WARN if target.meets(value, target.critical) else Verdict.FAIL


def _by_errors(log: OperationLog) -> tuple[Verdict, list[str]]:
    tally = log.tally
    share = tally.error / tally.sent if tally.sent else 0.0
    if share <= ERRORS_WARN:
        return Verdict.PASS, []
    kinds = ", ".join(f"{kind} x{count}" for kind, count in sorted(log.errors.items(), key=lambda e: -e[1])[:3])
    verdict = Verdict.FAIL if share > ERRORS_FAIL else Verdict.WARN
    return verdict, [f"{share:.1%} of {tally.sent} requests failed: {kinds}"]


def _latency(target: Target, result: ScenarioResult) -> _Figure:
    log = result.operation(target.operation or "")
    figure = _Figure(clock=target.clock)
    verdict, reasons = _by_errors(log)
    if verdict == Verdict.FAIL:
        return _Figure(verdict=verdict, reasons=reasons, value=_percentile(target, result, target.clock))
    figure.doubted([*doubt.of_operation(result, log), *doubt.of_lag(result, log.name), *_few(target, log)])
    figure.value = _percentile(target, result, target.clock)
    if figure.value is None and not figure.reasons:
        figure.doubted([Doubt(f"{log.tally.censored} requests did not end within the drain", "lengthen the drain")])
    if figure.reasons or figure.value is None:
        return figure
    figure.verdict = _against_bounds(target, figure.value)
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
    return [
        Doubt(
            f"{log.tally.ok} requests are too few for a P{target.percentile:g}, which needs {needed}",
            "lengthen the measure phase with --duration",
        )
    ]


def _percentile(target: Target, result: ScenarioResult, clock: str) -> float | None:
    operation = target.operation or ""
    censored = result.operation(operation).tally.censored if clock != "lag" else 0
    value = result.histogram(operation, clock).percentile(target.percentile, unknown_above=max(censored, 0))
    return None if value is None else value / target.microseconds


def _consider_floor(target: Target, result: ScenarioResult, figure: _Figure) -> None:
    """Judge the service's own clock where client and loopback alone take more of the target than they leave."""
    floor = result.floor_operation
    if floor is None:
        return
    value = result.histogram(floor, target.clock).percentile(target.percentile)
    figure.floor = None if value is None else value / target.microseconds
    hidden = figure.floor is not None and figure.floor > FLOOR_SHARE * target.target
    if not target.floor or not hidden or figure.verdict == Verdict.PASS:
        return
    seen, own = figure.value, _percentile(target, result, "server")
    if own is None:
        figure.doubted(
            [
                Doubt(
                    f"the floor's own P{target.percentile:g} is {figure.floor:.2f} {target.unit}: it hides the target, "
                    "and the service reports no time of its own",
                    "have the service send a Server-Timing header",
                )
            ]
        )
        return
    figure.value, figure.clock = own, "server"
    figure.verdict = _against_bounds(target, own)
    figure.reasons.append(
        f"the no-op endpoint alone takes {figure.floor:.2f} {target.unit} here, so no client can show "
        f"{target.target:g} {target.unit}: the service's own clock is judged (seen by the client: "
        f"{seen:.2f} {target.unit})"
    )


def _consider_lag(target: Target, result: ScenarioResult, figure: _Figure) -> None:
    """INVALID where the generator's lag, and not the service, may have made the verdict."""
    lag = _percentile(target, result, "lag")
    without = _percentile(target, result, "service")
    if lag is None or without is None or figure.value is None or lag <= LAG_SHARE * figure.value:
        return
    if _against_bounds(target, without) != figure.verdict:
        figure.doubted(
            [
                Doubt(
                    f"the generator's lag (P{target.percentile:g} {lag:.2f} {target.unit}) decides the verdict: "
                    f"without it the figure is {without:.2f} {target.unit}",
                    "lower the rate, or leave the generator a core of its own",
                    passing=True,
                )
            ]
        )


def _rate(target: Target, result: ScenarioResult) -> _Figure:
    log = result.operation(target.operation or "")
    verdict, reasons = _by_errors(log)
    achieved = result.achieved_rate(log.name)
    if verdict == Verdict.FAIL:
        return _Figure(verdict=verdict, reasons=reasons, value=achieved)
    figure = _Figure(value=achieved, verdict=_against_bounds(target, achieved), reasons=reasons)
    offered = result.offered_rate(log.name)
    closed = isinstance(result.scenario.arrivals, ClosedArrivals)
    if not closed and log.tally.skipped == 0:
        # Requests were waiting for the service only where the cap was reached; else the generator must be on time.
        figure.doubted(doubt.of_lag(result, log.name))
    if not closed and figure.verdict != Verdict.PASS and achieved >= KEPT_UP * offered and offered < target.target:
        figure.doubted(
            [
                Doubt(
                    f"only {offered:.0f}/s were offered, and the service kept up",
                    "raise --rate above the target",
                )
            ]
        )
    figure.doubted(doubt.of_operation(result, log))
    if figure.verdict == Verdict.PASS and (verdict == Verdict.WARN or log.tally.skipped):
        figure.verdict = Verdict.WARN
    if log.tally.skipped:
        figure.reasons.append(
            f"{log.tally.skipped} of {log.tally.planned} requests were skipped with "
            f"{result.generator.max_in_flight} in flight: this is the service's limit here"
        )
    return figure


def _users(target: Target, result: ScenarioResult) -> _Figure:
    arrivals = result.scenario.arrivals
    if not isinstance(arrivals, ClosedArrivals):
        return _Figure(verdict=Verdict.NOT_MEASURED, reasons=["the load was open: it has no users"])
    failed, sent = _failures(result)
    if sent == 0:
        return _Figure().doubted([Doubt("no request was sent", "lengthen the measure phase")])
    rate = sum(result.achieved_rate(log.name) for log in result.operations)
    think = sum(arrivals.think) / 2
    # Little's law: rate x think time is how many users were thinking, rather than waiting, on average.
    thinking = rate * think
    served = thinking >= SERVED_SHARE * arrivals.users and failed <= ERRORS_WARN * sent
    value = float(arrivals.users) if served else float(int(min(thinking, arrivals.users)))
    figure = _Figure(value=value, verdict=_against_bounds(target, value))
    if not served:
        figure.reasons.append(
            f"{arrivals.users} users made {rate:.1f} requests/s of the {arrivals.users / think:.1f} that their think "
            f"time allows, {failed} of {sent} failed"
        )
    return figure


def _error_rate(target: Target, result: ScenarioResult) -> _Figure:
    failed, sent = _failures(result)
    if sent < _LEAST_SAMPLES:
        return _Figure().doubted(
            [Doubt(f"{sent} requests are too few for an error rate", "lengthen the measure phase")]
        )
    value = 100 * failed / sent
    return _Figure(value=value, verdict=_against_bounds(target, value))


def _failures(result: ScenarioResult) -> tuple[int, int]:
    tallies = [log.tally for log in result.operations]
    return sum(t.error + t.censored for t in tallies), sum(t.sent for t in tallies)


def _pool(target: Target, result: ScenarioResult) -> _Figure:
    readings = [sample.value for sample in result.service.pool_utilization]
    if not readings:
        return _untold("its connection pool")
    value = 100 * float(np.percentile(readings, 95, method="higher"))
    return _Figure(value=value, verdict=_against_bounds(target, value))


def _cache_hits(target: Target, result: ScenarioResult) -> _Figure:
    hits = result.service.cache_hits.get(target.operation or "", 0)
    looked_up = hits + result.service.cache_misses.get(target.operation or "", 0)
    if not looked_up:
        return _untold(f"a cache of {target.operation} results")
    value = 100 * hits / looked_up
    return _Figure(value=value, verdict=_against_bounds(target, value))


def _compression(target: Target, result: ScenarioResult) -> _Figure:
    ratio = result.service.compression_ratio
    if ratio is None:
        return _untold("the compression of its cold tier")
    return _Figure(value=ratio, verdict=_against_bounds(target, ratio))


def _untold(what: str) -> _Figure:
    return _Figure(verdict=Verdict.NOT_MEASURED, reasons=[f"the service reports nothing of {what}"])


_METRICS: Final[dict[str, Callable[[Target, ScenarioResult], _Figure]]] = {
    "latency": _latency,
    "rate": _rate,
    "users": _users,
    "error_rate": _error_rate,
    "pool_utilization": _pool,
    "cache_hit_ratio": _cache_hits,
    "compression_ratio": _compression,
}
