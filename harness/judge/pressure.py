"""What pressure on the host cost: the same load without it and with it."""

from collections.abc import Iterator, Sequence
from typing import Final

from harness.core.histogram import enough_for, merged
from harness.core.record import PressureCost, RunRecord, ScenarioResult
from harness.core.recorder import merge_logs
from harness.core.verdict import Verdict

_LATENCIES: Final = (
    ("response", 50.0),
    ("response", 95.0),
    ("response", 99.0),
    ("server", 99.0),
    ("lag", 99.0),
)
"""What users feel; what the service says of itself; and what of it all was the generator's own."""


def costs(record: RunRecord) -> list[PressureCost]:
    """The cost of pressure for each operation; empty unless some scenarios ran under pressure and some did not."""
    calm = [result for result in record.scenarios if not result.pressure and result.operations]
    pressed = [result for result in record.scenarios if result.pressure and result.operations]
    if not (calm and pressed):
        return []
    names = [log.name for log in calm[0].operations]
    return [cost for name in names for cost in _of_operation(name, calm, pressed)]


def told(record: RunRecord) -> Iterator[str]:
    """Why a figure under pressure cannot be believed, where that is so: whose loss it is must be plain."""
    for result in record.scenarios:
        for name, said in result.verdicts.items():
            if result.pressure and said.verdict == Verdict.INVALID:
                reasons = "; ".join(said.reasons)
                yield f"{result.name}, {name}: the cost of pressure is not the service's alone: {reasons}"


def _of_operation(
    name: str, calm: Sequence[ScenarioResult], pressed: Sequence[ScenarioResult]
) -> Iterator[PressureCost]:
    for clock, percent in _LATENCIES:
        figure = f"{clock} P{percent:g}"
        yield PressureCost(name, figure, "us", *(_percentile(some, name, clock, percent) for some in (calm, pressed)))
    yield PressureCost(name, "rate", "1/s", *(_rate(some, name) for some in (calm, pressed)))
    yield PressureCost(name, "failed", "%", *(_failed(some, name) for some in (calm, pressed)))


def _percentile(results: Sequence[ScenarioResult], name: str, clock: str, percent: float) -> float | None:
    histogram = merged(result.histogram(name, clock) for result in results)
    if histogram.count < enough_for(percent):
        return None
    unanswered = sum(result.operation(name).tally.censored for result in results) if clock == "response" else 0
    return histogram.percentile(percent, unknown_above=max(unanswered, 0))


def _rate(results: Sequence[ScenarioResult], name: str) -> float | None:
    seconds = sum(result.seconds for result in results)
    return sum(result.achieved_rate(name) * result.seconds for result in results) / seconds if seconds else None


def _failed(results: Sequence[ScenarioResult], name: str) -> float | None:
    tally = merge_logs([result.operation(name) for result in results]).tally
    return 100 * (tally.error + tally.censored) / tally.sent if tally.sent else None
