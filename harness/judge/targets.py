"""Verdicts of a whole record: its operations, its targets, the run."""

from collections.abc import Callable, Sequence
from typing import Final

from harness.core.record import OperationVerdict, RunRecord, ScenarioResult, TargetResult
from harness.core.recorder import OperationLog
from harness.core.targets import Target
from harness.core.verdict import Verdict, overall
from harness.judge import doubt, drift, pressure, rates
from harness.judge.coincidence import worst_second
from harness.judge.figure import Figure, by_errors, not_measured
from harness.judge.latency import latency
from harness.judge.recall import recall

_METRICS: Final[dict[str, Callable[[Target, ScenarioResult], Figure]]] = {
    "latency": latency,
    "rate": rates.rate,
    "users": rates.users,
    "error_rate": rates.error_rate,
    "pool_utilization": rates.pool,
    "cache_hit_ratio": rates.cache_hits,
    "compression_ratio": rates.compression,
    "recall": recall,
}


def judge(record: RunRecord, targets: Sequence[Target]) -> None:
    """Fill in a record's verdicts: of its operations, its targets and the whole."""
    for result in record.scenarios:
        result.drifts = drift.drifts(result)
        result.worst = worst_second(result)
        result.verdicts = {log.name: judge_operation(result, log) for log in result.operations}
    record.targets = [judge_target(target, record.scenario(target.scenario)) for target in targets]
    operations = [
        verdict.verdict
        for result in record.scenarios
        if not result.pressure  # what the host did to it is no verdict on the service
        for name, verdict in result.verdicts.items()
        if name != result.floor_operation  # without one, targets are judged all the same
    ]
    judged = [target.verdict for target in record.targets if target.verdict != Verdict.NOT_MEASURED]
    # Judged figures decide. Operations that no target judges still fail a run when the service failed them.
    decisive = judged + [verdict for verdict in operations if verdict == Verdict.FAIL or not judged]
    decisive += [Verdict.PASS] * bool(record.micro)
    record.verdict = overall(decisive)
    record.reasons = [] if decisive else ["nothing was measured"]
    record.pressure_costs = pressure.costs(record)
    record.reasons += pressure.told(record)
    record.reasons += [sentence for result in record.scenarios for sentence in drift.told(result)]


def judge_operation(result: ScenarioResult, log: OperationLog) -> OperationVerdict:
    """Whether an operation was served at all, and whether its figures can be believed, apart from any target."""
    of_all = list(doubt.of_scenario(result))
    doubts = [
        *of_all,
        *doubt.of_operation(result, log),
        *doubt.of_lag(result, log.name),
        *doubt.of_skips(log),
    ]
    verdict, reasons = by_errors(log)
    if of_all or (doubts and verdict != Verdict.FAIL):
        verdict = Verdict.INVALID
    return OperationVerdict(verdict, reasons + [d.reason for d in doubts], [d.hint for d in doubts])


def judge_target(target: Target, result: ScenarioResult | None) -> TargetResult:
    """One target's verdict."""
    figure = _figure(target, result) if result else not_measured(f"the scenario {target.scenario} did not run")
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
        operation=target.operation or "",
        percentile=target.percentile if target.metric == "latency" else None,
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


def _figure(target: Target, result: ScenarioResult) -> Figure:
    if not result.operations:
        return Figure().doubted(doubt.of_scenario(result))
    figure = _METRICS[target.metric](target, result)
    # Also a FAIL: a generator out of CPU stamps answers late, and the service must not be blamed for that.
    return figure if figure.verdict == Verdict.NOT_MEASURED else figure.doubted(doubt.of_scenario(result))
