"""The open loop: every planned request is offered at its time, whatever became of those before it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from harness.core.clock import Clock
from harness.core.recorder import OperationRecorder

R = TypeVar("R")
GLANCE: Final = 20_000_000
"""Nanoseconds after which a long wait looks whether the deadline has moved."""


class OpenLoop(Generic[R]):
    """Walks through a plan.

    Knows nothing of HTTP, nor of how waiting is done, so that the same code runs in virtual time.

    Args:
        clock: waits for the planned times.
        recorders: one per operation of the plan.
        prepare: makes the next request of an operation; called before its time has come.
        send: sends it: operation, request, and when it was due. Must not wait for the answer.
        in_flight: how many requests are without an answer.
        max_in_flight: from there on a due request is skipped and counted.
        deadline: nanoseconds; nothing that is due from then on is sent. Asked each time, since an interrupt moves it.
    """

    def __init__(
        self,
        clock: Clock,
        recorders: Sequence[OperationRecorder],
        *,
        prepare: Callable[[int], R],
        send: Callable[[int, R, int], None],
        in_flight: Callable[[], int],
        max_in_flight: int,
        deadline: Callable[[], int],
    ) -> None:
        self._clock, self._recorders = clock, recorders
        self._prepare, self._send = prepare, send
        self._in_flight, self._max_in_flight = in_flight, max_in_flight
        self._deadline = deadline

    def run(self, plan: Iterable[tuple[int, int]], origin: int) -> None:
        """Offer all of a plan.

        Args:
            plan: when each request is due, nanoseconds since `origin`, and its operation.
            origin: when the plan begins, nanoseconds on the clock.
        """
        for offset, operation in plan:
            due = origin + offset
            request = self._prepare(operation)
            self._wait_until(due)
            if due >= self._deadline():
                return
            recorder = self._recorders[operation]
            recorder.plan(due)
            if self._in_flight() >= self._max_in_flight:
                recorder.skip(due, self._clock.now())
            else:
                self._send(operation, request, due)

    def _wait_until(self, due: int) -> None:
        """Wait for a request's time, and no longer than the deadline lets, which may come nearer meanwhile."""
        while (now := self._clock.now()) + GLANCE < min(due, self._deadline()):
            self._clock.wait_until(now + GLANCE)
        self._clock.wait_until(min(due, self._deadline()))
