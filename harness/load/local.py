"""A crew of one worker in the conductor's own process."""

from collections.abc import Callable
from typing import Any

import gevent
from locust.env import Environment

from harness.load.job import LoadJob
from harness.load.messages import Begin, Done, Measure, News, Order, Stop
from harness.load.worker import Worker


class Alone:
    """One worker, told by plain calls.

    Args:
        job: the whole of it.
        hear: takes the worker's news.
    """

    workers = 1

    def __init__(self, job: LoadJob, hear: Callable[[str, News], None]) -> None:
        self._hear = hear
        self._worker = Worker(job, lambda news: hear("", news))
        user, self._count = self._worker.user_class()
        self._environment = Environment(user_classes=[user], host=job.url)
        self._runner = self._environment.create_local_runner()
        self._life = gevent.spawn(self._live)

    def _live(self) -> None:
        self._hear("", Done(self._worker.live(self._environment)))

    def tell(self, order: Order) -> None:
        """Do what a worker does at such an order."""
        if isinstance(order, Begin):
            # All within a second: the guide's load begins at full strength, the warm-up absorbs it.
            self._runner.start(self._count, spawn_rate=max(self._count, 1))
        obey(self._worker, order)

    def lost(self, *, reporting: bool) -> str:
        """How it broke, if it did."""
        broken: Any = self._life.exception
        return f"{type(broken).__name__}: {broken}" if broken else ""

    def quit(self) -> None:
        """End the users."""
        self._runner.quit()


def obey(worker: Worker, order: Order) -> None:
    """Carry out what a conductor orders once a worker is prepared."""
    match order:
        case Begin(delay):
            worker.begin(delay)
        case Measure(delay):
            worker.measure(delay)
        case Stop():
            worker.stop()
