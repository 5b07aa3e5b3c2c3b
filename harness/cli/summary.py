"""A record as the JSON of `membench show --json`: the figures, without the histograms."""

from typing import Any

from harness.core.histogram import PERCENTS, enough_for
from harness.core.record import RunRecord, ScenarioResult
from harness.core.recorder import CLOCKS, OperationLog

_KEYS = ("p50", "p95", "p99", "p999")


def summary(record: RunRecord) -> dict[str, Any]:
    """The figures of a record; times are in microseconds, rates per second.

    `operations` names each operation `<scenario>.<operation>`, and also plainly `<operation>` where only one scenario
    of the run has it. A percentile that the sample does not carry, or that lies among requests never answered, is null;
    `interval` has the 95% intervals there are, with a high of null where it lies among those requests.
    """
    operations: dict[str, Any] = {}
    floors: dict[str, Any] = {}
    plain: dict[str, list[Any]] = {}
    for result in record.scenarios:
        for log in result.operations:
            figures = _operation(result, log)
            operations[f"{result.name}.{log.name}"] = figures
            if log.name == result.floor_operation:
                floors[result.name] = figures["response"]
            else:
                plain.setdefault(log.name, []).append(figures)
    operations.update({name: found[0] for name, found in plain.items() if len(found) == 1})
    return {
        "id": record.id,
        "status": record.status,
        "failure": record.failure,
        "verdict": record.verdict,
        "reasons": record.reasons,
        "seed": record.seed,
        "suite": record.suite,
        "not_run": record.not_run,
        "operations": operations,
        "floor": floors,
        "scenarios": {result.name: _beside(result) for result in record.scenarios},
        "calmed": record.calmed,
        "targets": {
            target.id: {
                "value": target.value,
                "unit": target.unit,
                "verdict": target.verdict,
                "target": target.target,
                "critical": target.critical,
                "clock": target.clock,
                "floor": target.floor,
                "reasons": target.reasons,
                "hints": target.hints,
            }
            for target in record.targets
        },
        "pressure_costs": [
            {"ratio": one.ratio} | {field: getattr(one, field) for field in one.__struct_fields__}
            for one in record.pressure_costs
        ],
        "drifts": {
            result.name: [{field: getattr(one, field) for field in one.__struct_fields__} for one in result.drifts]
            for result in record.scenarios
            if result.drifts
        },
        "micro": [{field: getattr(one, field) for field in one.__struct_fields__} for one in record.micro],
    }


def _beside(result: ScenarioResult) -> dict[str, Any]:
    return {
        "seconds": result.seconds,
        "warmup": result.warmup,
        "worst": result.worst,
        "recall": result.recall,
        "drifts": result.drifts,
        "pressure": result.pressure,
    }


def _operation(result: ScenarioResult, log: OperationLog) -> dict[str, Any]:
    verdict = result.verdicts.get(log.name)
    figures: dict[str, Any] = {clock: _clock(result, log.name, clock) for clock in CLOCKS}
    tally = log.tally
    return figures | {
        "planned": tally.planned,
        "sent": tally.sent,
        "ok": tally.ok,
        "error": tally.error,
        "skipped": tally.skipped,
        "censored": tally.censored,
        "errors": log.errors,
        "offered_rate": result.offered_rate(log.name),
        "achieved_rate": result.achieved_rate(log.name),
        "seconds": result.seconds,
        "verdict": verdict.verdict if verdict else None,
        "reasons": verdict.reasons if verdict else [],
        "hints": verdict.hints if verdict else [],
    }


def _clock(result: ScenarioResult, operation: str, clock: str) -> dict[str, Any]:
    histogram, unknown = result.histogram(operation, clock), result.unknown_above(operation, clock)
    samples = histogram.count + unknown
    carried = {key: percent for key, percent in zip(_KEYS, PERCENTS, strict=True) if samples >= enough_for(percent)}
    values = {key: histogram.percentile(percent, unknown_above=unknown) for key, percent in carried.items()}
    ends = {key: result.interval(operation, clock, percent) for key, percent in carried.items()}
    return {
        "count": histogram.count,
        **dict.fromkeys(_KEYS),
        **values,
        "max": histogram.max if histogram.count else None,
        "interval": {key: {"low": end[0], "high": end[1]} for key, end in ends.items() if end},
    }
