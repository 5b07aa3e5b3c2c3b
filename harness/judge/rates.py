"""Judging what is not a latency: rates, users, errors, and what the service says of itself."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from harness.core.record import ScenarioResult
from harness.core.scenario import ClosedArrivals
from harness.core.targets import Target
from harness.core.verdict import Verdict
from harness.judge import doubt
from harness.judge.doubt import Doubt
from harness.judge.figure import ERRORS_FAIL, ERRORS_WARN, LONGER, Figure, against_bounds, by_errors, not_measured

SERVED_SHARE: Final = 0.95
"""Share of the rate that their think time allows which served users keep."""
KEPT_UP: Final = 0.98
"""Share of the offered rate from which a service has kept up with it."""
_LEAST_SAMPLES: Final = 100
_LEAST_READINGS: Final = 10


def rate(target: Target, result: ScenarioResult) -> Figure:
    """Successful answers per second."""
    log = result.operation(target.operation or "")
    verdict, reasons = by_errors(log)
    achieved = result.achieved_rate(log.name)
    if verdict == Verdict.FAIL:
        return Figure(verdict=verdict, reasons=reasons, value=achieved)
    figure = Figure(value=achieved, verdict=against_bounds(target, achieved), reasons=reasons)
    figure.doubted([*doubt.of_length(result), *doubt.of_operation(result, log), *_not_offered(target, result)])
    if figure.verdict == Verdict.PASS and (verdict == Verdict.WARN or log.tally.skipped):
        figure.verdict = Verdict.WARN
    if log.tally.skipped and not figure.doubts:
        figure.reasons.append(
            f"{log.tally.skipped} of {log.tally.planned} requests were skipped with "
            f"{result.generator.max_in_flight} in flight: this is the service's limit here"
        )
    return figure


def _not_offered(target: Target, result: ScenarioResult) -> list[Doubt]:
    """Whether the rate is the generator's rather than the service's."""
    log = result.operation(target.operation or "")
    if isinstance(result.scenario.arrivals, ClosedArrivals):
        return list(doubt.of_lag(result, log.name))
    achieved, offered = result.achieved_rate(log.name), result.offered_rate(log.name)
    # Where the cap is reached, requests wait for the service however late some are; else lag costs rate.
    doubts = [] if log.tally.skipped else list(doubt.of_lag(result, log.name))
    verdict = against_bounds(target, achieved)
    lost = log.tally.skipped_late / result.seconds if result.seconds else 0.0
    if against_bounds(target, achieved + lost) != verdict:
        reason = (
            f"{log.tally.skipped_late} requests came to their turn late and were skipped: a stall of the generator "
            "decides the verdict"
        )
        doubts.append(Doubt(reason, "run it again on a quieter machine", passing=True))
    if verdict != Verdict.PASS and achieved >= KEPT_UP * offered and offered < target.target:
        reason = f"only {offered:.0f}/s were offered, and the service kept up"
        doubts.append(Doubt(reason, "raise --rate above the target"))
    return doubts


def users(target: Target, result: ScenarioResult) -> Figure:
    """Users who were served: as many as there were, or as were not kept waiting on average."""
    arrivals = result.scenario.arrivals
    if not isinstance(arrivals, ClosedArrivals):
        return not_measured("the load was open: it has no users")
    think = sum(arrivals.think) / 2
    if not think:
        return not_measured("users who never think have no rate to be held against")
    failed, sent = _failures(result)
    if sent == 0:
        return Figure().doubted([Doubt("no request was sent", LONGER)])
    achieved = sum(result.achieved_rate(log.name) for log in result.operations)
    # Little's law: rate x think time is how many users were thinking, rather than waiting, on average.
    thinking = achieved * think
    served = thinking >= SERVED_SHARE * arrivals.users and failed <= ERRORS_WARN * sent
    value = float(arrivals.users) if served else float(int(min(thinking, arrivals.users)))
    figure = Figure(value=value, verdict=against_bounds(target, value))
    figure.doubted([*doubt.of_length(result), *_uncounted(result)])
    if not served:
        # Users who were kept from sending by a generator without CPU were not kept waiting by the service.
        figure.doubted(one for log in result.operations for one in doubt.of_lag(result, log.name))
        figure.reasons.append(
            f"{arrivals.users} users made {achieved:.1f} requests/s of the {arrivals.users / think:.1f} that their "
            f"think time allows, {failed} of {sent} failed"
        )
    return figure


def error_rate(target: Target, result: ScenarioResult) -> Figure:
    """Failed and unanswered requests, per cent of those sent."""
    failed, sent = _failures(result)
    if sent < _LEAST_SAMPLES:
        return Figure().doubted([Doubt(f"{sent} requests are too few for an error rate", LONGER)])
    value = 100 * failed / sent
    return Figure(value=value, verdict=against_bounds(target, value)).doubted(_uncounted(result))


def _uncounted(result: ScenarioResult) -> Iterator[Doubt]:
    for log in result.operations:
        yield from doubt.of_counts(result, log)


def _failures(result: ScenarioResult) -> tuple[int, int]:
    tallies = [log.tally for log in result.operations]
    return sum(t.error + t.censored for t in tallies), sum(t.sent for t in tallies)


def pool(target: Target, result: ScenarioResult) -> Figure:
    """P95 of the connection pool's readings, per cent."""
    readings = [sample.value for sample in result.service.pool_utilization]
    if not readings:
        return _untold("its connection pool")
    value = 100 * float(np.percentile(readings, 95, method="higher"))
    figure = Figure(value=value, verdict=against_bounds(target, value))
    missed, made = result.service.pool_missed, len(readings)
    if made < _LEAST_READINGS or missed > ERRORS_FAIL * (made + missed):
        # A service too busy to answer is a service whose pool is busy.
        figure.doubted([Doubt(f"only {made} readings of the pool, {missed} more went unanswered", LONGER)])
    return figure


def cache_hits(target: Target, result: ScenarioResult) -> Figure:
    """Hits of one of the service's caches, per cent of its look-ups."""
    hits = result.service.cache_hits.get(target.operation or "", 0)
    looked_up = hits + result.service.cache_misses.get(target.operation or "", 0)
    if not looked_up:
        return _untold(f"a cache of {target.operation} results")
    value = 100 * hits / looked_up
    figure = Figure(value=value, verdict=against_bounds(target, value))
    if looked_up < _LEAST_SAMPLES:
        figure.doubted([Doubt(f"{looked_up} look-ups are too few for a ratio", LONGER)])
    return figure


def compression(target: Target, result: ScenarioResult) -> Figure:
    """Original bytes per stored byte of the cold tier's rows."""
    ratio = result.service.compression_ratio
    if ratio is None:
        return _untold("the compression of its cold tier")
    return Figure(value=ratio, verdict=against_bounds(target, ratio))


def _untold(what: str) -> Figure:
    return not_measured(f"the service reports nothing of {what}")
