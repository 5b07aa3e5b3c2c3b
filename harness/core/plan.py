"""The plan of an open run: which operation is due when, fixed before the first request is sent."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.core import schedule
from harness.core.scenario import FLOOR, OpenArrivals, Piece, Scenario

FASTEST_CLOSED: Final = 6000.0
"""Requests per second that a closed loop without think time is not expected to pass on one core."""


@dataclass(frozen=True)
class Plan:
    """Arrivals of one phase, ascending.

    Attributes:
        due: nanoseconds since the phase began.
        operation: for each arrival, the index into `operations`.
        request: for each arrival, which request of its operation's tape it is, from 0.
        operations: names.
    """

    due: npt.NDArray[np.int64]
    operation: npt.NDArray[np.int64]
    request: npt.NDArray[np.int64]
    operations: tuple[str, ...]

    def share(self, worker: int, workers: int) -> "Plan":
        """The arrivals of one worker of several: every `workers`-th, so that all see the same phases and mix."""
        chosen = slice(worker, None, workers)
        return Plan(self.due[chosen], self.operation[chosen], self.request[chosen], self.operations)

    def requests_of(self, operation: int) -> npt.NDArray[np.int64]:
        """The requests of one operation's tape that it sends, in order."""
        chosen: npt.NDArray[np.int64] = self.request[self.operation == operation]
        return chosen

    def __len__(self) -> int:
        return len(self.due)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.due.tolist(), self.operation.tolist(), strict=True)


class Plans(NamedTuple):
    """The plans of both phases. They are apart, since how long the warm-up lasts is known only when it is over.

    Attributes:
        warmup: of the longest warm-up; what lies behind its end is never offered.
        measure: of the measure phase.
    """

    warmup: Plan
    measure: Plan


def plan_open(scenario: Scenario, seed: int) -> Plans:
    """Plan an open scenario's arrivals.

    The mix is exact: each operation gets its share of every phase, in shuffled order. A scenario that asks for
    its floor gets as many no-op requests again, with arrivals of their own, interleaved with the others.

    Args:
        scenario: one with open arrivals.
        seed: the same seed gives the same plan.
    """
    arrivals = scenario.arrivals
    if not isinstance(arrivals, OpenArrivals):
        raise TypeError(f"{scenario.name} has closed arrivals: its users decide when to send")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0x0AE])))
    warmup = _plan(scenario, arrivals, rng, None)
    return Plans(warmup, _plan(scenario, arrivals, rng, warmup))


def most_requests(scenario: Scenario, operation: str, workers: int = 1) -> int:
    """How many requests of an operation a run can need, both phases together.

    Exact but for rounding where arrivals are open; a generous bound for users who choose by lot.

    Args:
        scenario: with its final load.
        operation: its name, which may be the floor's.
        workers: load processes that share it. Each needs as many as the one with the most users.
    """
    total = sum(each.weight for each in scenario.operations)
    share = next((each.weight / total for each in scenario.operations if each.name == operation), 1.0)
    phases, arrivals = scenario.phases, scenario.arrivals
    seconds = phases.longest_warmup + phases.measure
    if isinstance(arrivals, OpenArrivals):
        pieces = arrivals.pieces(phases.measure)
        planned = sum(piece.seconds * (piece.first + piece.last) / 2 for piece in pieces)
        # Each piece rounds to whole requests, and so does each operation's share of them.
        return math.ceil((planned + phases.longest_warmup * pieces[0].first) * share) + 8 + len(pieces)
    think = sum(arrivals.think) / 2
    users = math.ceil(arrivals.users / workers)
    rate = min(users / think if think else math.inf, FASTEST_CLOSED)
    expected = rate * seconds * share
    return workers * (math.ceil(expected + 6 * math.sqrt(expected)) + 2 * users)


def _plan(scenario: Scenario, arrivals: OpenArrivals, rng: np.random.Generator, warmup: Plan | None) -> Plan:
    """One phase: the warm-up, or the measure phase behind it."""
    seconds = scenario.phases.longest_warmup if warmup is None else scenario.phases.measure
    names = [operation.name for operation in scenario.operations]
    weights = np.array([operation.weight for operation in scenario.operations], dtype=np.float64)
    streams = [weights, np.array([1.0])] if scenario.floor else [weights]
    pieces: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for stream, stream_weights in enumerate(streams):
        due = _arrivals(arrivals, seconds, rng, is_warmup=warmup is None)
        pieces.append((due, _mix(stream_weights, len(due), rng) + (len(names) if stream else 0)))
    due = np.concatenate([piece[0] for piece in pieces])
    operation = np.concatenate([piece[1] for piece in pieces])
    order = np.argsort(due, kind="stable")
    due, operation = due[order], operation[order]
    operations = (*names, FLOOR) if scenario.floor else tuple(names)
    request = np.zeros_like(operation)
    for index in range(len(operations)):
        mine = operation == index
        # The measure phase has requests of its own, however much of the warm-up's was used.
        request[mine] = np.arange(mine.sum()) + (len(warmup.requests_of(index)) if warmup else 0)
    return Plan(due, operation, request, operations)


def _arrivals(
    arrivals: OpenArrivals, seconds: float, rng: np.random.Generator, *, is_warmup: bool
) -> schedule.Arrivals:
    if not seconds:
        return np.zeros(0, dtype=np.int64)  # a scenario may have no warm-up
    pieces = arrivals.pieces(seconds)
    if is_warmup:
        pieces = (Piece(seconds, pieces[0].first, pieces[0].first),)
    chance = rng if arrivals.process == "poisson" else None
    return schedule.joined(
        (piece.seconds, schedule.ramp(piece.first, piece.last, piece.seconds, chance)) for piece in pieces
    )


def _mix(weights: npt.NDArray[np.float64], count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Operation indices in their exact proportions (largest remainder), shuffled."""
    exact = weights / weights.sum() * count
    whole = np.floor(exact).astype(np.int64)
    whole[np.argsort(whole - exact, kind="stable")[: count - int(whole.sum())]] += 1
    return rng.permutation(np.repeat(np.arange(len(weights), dtype=np.int64), whole))
