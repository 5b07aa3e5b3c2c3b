"""The worst second of a phase, and what else happened then."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from harness.core.histogram import Histogram
from harness.core.readings import Series, WorstSecond
from harness.core.record import ScenarioResult
from harness.core.recorder import OperationLog

SENTENCES: Final = 5
"""At most so many coincidences are told."""
NORMAL: Final = 1.4826
"""Times the median absolute deviation: the standard deviation, were the values normally distributed."""
SIGMAS: Final = 5.0
"""Of these, from which a value is unusual."""
LEAST_MS: Final = 5.0
"""By which the worst second must exceed the usual one to be worth an explanation."""
LEAST: Final = {"%": 20.0, "MiB": 64.0, "MiB/s": 5.0, "1/s": 10.0, "ms": 5.0, "": 3.0}
"""The least change of a series that may matter, in its own unit: the host's CPU from 0.1% to 0.3% is no news."""
LEAST_SHARE: Final = 0.2
"""Of its own median, likewise."""
_FEWEST: Final = 5
_KINDS: Final = ("lock", "checkpoint", "autovacuum")
_GROUPS: Final = ("host", "postgres", "service")
_EFFECTS: Final = ("waiting", "in flight", "in use", "active backends", "pool utilization", "commits", "rejected")
"""Words of series that rise because requests wait: told last, since they explain nothing."""


def worst_second(result: ScenarioResult) -> WorstSecond | None:
    """The second with the longest response of all operations but the floor, and what coincided with it.

    It is unusual, and what coincided is looked for, where the longest response is more than twice the median over
    the phase of the operation's per-second maximum, and above it by more than `SIGMAS` robust standard deviations
    (median absolute deviation times 1.4826) and by `LEAST_MS`.

    The time looked at reaches from a second before to a second after: before the second begins, and after the
    slowest request got its answer. Then coincide: events that overlap it; and series whose value rises above their
    own median by more than `SIGMAS` robust standard deviations, by `LEAST` of their unit, and by a fifth of the
    median. Coincidence is no proof of cause.

    Returns:
        None where nothing was answered.
    """
    found = [
        (longest, log, second)
        for log in result.operations
        if log.name != result.floor_operation
        for second, longest in _longest(log, "response").items()
    ]
    if not found:
        return None
    longest, log, second = max(found, key=lambda entry: entry[0])
    usual, spread = _usual(list(_longest(log, "response").values()))
    worst = WorstSecond(second, log.name, longest, usual)
    if longest > 2 * usual and longest - usual > max(SIGMAS * spread, LEAST_MS * 1e3):
        worst.coincided = list(_coincidences(result, log, worst))[:SENTENCES]
    return worst


def _coincidences(result: ScenarioResult, log: OperationLog, worst: WorstSecond) -> Iterator[str]:
    yield from _generator(log, worst)
    window = worst.second - 1.0, worst.second + 2.0 + worst.longest_us / 1e6
    events = [
        one for one in result.telemetry.events if one.second <= window[1] and one.second + one.seconds >= window[0]
    ]
    ranks = {kind: rank for rank, kind in enumerate(_KINDS)}
    # Of equal kind, the longest: it explains most.
    for event in sorted(events, key=lambda one: (ranks.get(one.kind, len(ranks)), -one.seconds))[:3]:
        yield f"a lock: {event.text}" if event.kind == "lock" else event.text
    yield from _floor(result, worst)
    yield from _server_clock(log, worst)
    yield from _series(result.telemetry.series, window)


def _generator(log: OperationLog, worst: WorstSecond) -> Iterator[str]:
    lag = _longest(log, "lag").get(worst.second, 0.0)
    without = _longest(log, "service").get(worst.second, worst.longest_us)
    if without < worst.longest_us / 2 <= lag:
        yield (
            f"the generator, not the server: it sent a request {_ms(lag)} late, and none took longer than "
            f"{_ms(without)} from then on"
        )


def _floor(result: ScenarioResult, worst: WorstSecond) -> Iterator[str]:
    if result.floor_operation is None:
        return
    floor = _longest(result.operation(result.floor_operation), "response")
    near = max((floor.get(worst.second + step, 0.0) for step in (-1, 0, 1)), default=0.0)
    if near >= worst.longest_us / 2:
        yield (f"the no-op endpoint stalled as well ({_ms(near)}): the host or the whole server process stood still")
    elif near:
        yield f"the no-op endpoint did not stall ({_ms(near)} at most): host and server process went on"


def _server_clock(log: OperationLog, worst: WorstSecond) -> Iterator[str]:
    server = _longest(log, "server").get(worst.second)
    service = _longest(log, "service").get(worst.second, 0.0)
    if server is None or service < worst.longest_us / 2:
        return
    if server >= service / 2:
        yield f"the time was spent in the service's handler: its own clock says {_ms(server)}"
    else:
        yield (
            f"the time was spent before the service's handler or on the way: its own clock says {_ms(server)} at most"
        )


def _series(series: list[Series], window: tuple[float, float]) -> Iterator[str]:
    """Series that rose in the window, by group, the clearest first; what merely follows from waiting comes last."""
    told: list[tuple[tuple[bool, int, float], str]] = []
    for one in series:
        inside = [sample.value for sample in one.values if window[0] < sample.second <= window[1]]
        during = [sample.value for sample in one.values if sample.second >= 0]
        if one.group == "generator" or not inside or len(during) < _FEWEST:
            continue
        value = max(inside)
        median, spread = _usual(during)
        needed = max(SIGMAS * spread, LEAST[one.unit], LEAST_SHARE * abs(median))
        if value - median > needed:
            effect = any(word in one.name for word in _EFFECTS)
            rank = effect, _GROUPS.index(one.group), -(value - median) / needed
            unit = one.unit if one.unit in ("", "%") else f" {one.unit}"
            told.append((rank, f"{one.name} ({one.group}): {value:,.4g}{unit}, usually {median:,.4g}{unit}"))
    for _, sentence in sorted(told):
        yield sentence


def _longest(log: OperationLog, clock: str) -> dict[int, float]:
    """The longest time of each second of the measure phase, microseconds."""
    return {
        interval.second: float(Histogram.decode(interval.histograms[clock]).max)
        for interval in log.intervals
        if interval.second >= 0 and clock in interval.histograms
    }


def _usual(values: list[float]) -> tuple[float, float]:
    """The median, and a robust standard deviation around it."""
    median = float(np.median(values))
    return median, NORMAL * float(np.median(np.abs(np.array(values) - median)))


def _ms(microseconds: float) -> str:
    milliseconds = microseconds / 1e3
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
