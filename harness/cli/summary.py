"""A record as the JSON of `membench show --json`: the figures, without the histograms."""

from typing import Any

from harness.core.histogram import PERCENTS
from harness.core.record import RunRecord, ScenarioResult
from harness.core.recorder import CLOCKS, OperationLog

_KEYS = ("p50", "p95", "p99", "p999")


def summary(record: RunRecord) -> dict[str, Any]:
    """The figures of a record; times are in microseconds, rates per second.

    `operations` names each operation `<scenario>.<operation>`, and also plainly `<operation>` where only one scenario
    of the run has it.
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
    }


def _clock(result: ScenarioResult, operation: str, clock: str) -> dict[str, int | None]:
    histogram = result.histogram(operation, clock)
    values = dict(zip(_KEYS, histogram.percentiles(PERCENTS), strict=True))
    return {"count": histogram.count, **values, "max": histogram.max if histogram.count else None}
