"""What recording costs: `python -m harness.load.cost URL` compares clients in turns, in one process on one core.

Bare Locust (`FastHttpUser`), this harness's client with its recorder, and the same client without it, each as ten
users who never think, against one endpoint. Quote the ratios, not the rates.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import gevent
from locust import task
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from harness.core.recorder import NO_SERVER_TIME, UNKNOWN, OperationRecorder
from harness.core.tape import Request
from harness.load.users import RecordedUser, Session, connect

USERS, ROUNDS, SECONDS = 10, 12, 2.0
PATH = "/api/v1/noop"


class Bare(FastHttpUser):
    """Locust as it comes."""

    @task
    def get(self) -> None:
        """One request."""
        self.client.get(PATH)


class Recorded(RecordedUser):
    """The harness."""

    def on_start(self) -> None:
        """Connect."""
        self.client = connect(self.host, 1)

    @task
    def get(self) -> None:
        """One request."""
        self.send(0, Request("GET", PATH), time.perf_counter_ns())


class Forgetful(OperationRecorder):
    """A recorder that keeps nothing."""

    def record(
        self, intended: int, sent: int, ended: int, server: float = NO_SERVER_TIME, error: str | None = None
    ) -> None:
        """Forget it."""
        self.finished += 1


def session(recorder: type[OperationRecorder]) -> Session:
    """A session for users of one operation."""
    return Session(recorders=[recorder("noop", (0, UNKNOWN))], tapes=[])


def rate(user: type[FastHttpUser] | type[RecordedUser], url: str, count: Callable[[Environment], int]) -> float:
    """Requests per second of one round."""
    environment = Environment(user_classes=[user], host=url)
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=USERS)
    _pass(0.3, user, environment)
    before, began = count(environment), time.perf_counter()
    _pass(SECONDS, user, environment)
    done, took = count(environment) - before, time.perf_counter() - began
    runner.quit()
    return done / took


def _pass(seconds: float, user: type[FastHttpUser] | type[RecordedUser], environment: Environment) -> None:
    """Let load run, and tell Locust of it as a load process does."""
    for _ in range(round(seconds * 10)):
        gevent.sleep(0.1)
        if issubclass(user, RecordedUser):
            user.session.tell_locust(environment)


def rounds(url: str) -> Iterator[tuple[float, float, float]]:
    """Rates of bare, recorded and unrecorded users, in turns."""
    for number in range(ROUNDS):
        Recorded.session = session(OperationRecorder)
        without = type("Unrecorded", (Recorded,), {"session": session(Forgetful)})
        chances: list[tuple[type[FastHttpUser] | type[RecordedUser], Callable[[Environment], int]]] = [
            (Bare, lambda environment: int(environment.stats.total.num_requests)),
            (Recorded, lambda _: len(Recorded.session.recorders[0])),
            (without, lambda _, own=without: int(own.session.recorders[0].finished)),  # type: ignore[misc]
        ]
        # Turning the order around evens out what drifts.
        order = chances if number % 2 == 0 else chances[::-1]
        found = {user: rate(user, url, count) for user, count in order}
        yield found[Bare], found[Recorded], found[without]


def main(url: str) -> None:
    """Print the medians of the paired ratios."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = list(rounds(url))
    for name, column in (("bare FastHttpUser", 0), ("recorded", 1), ("not recorded", 2)):
        print(f"{name:18} {statistics.median(row[column] for row in found):8.0f} requests/s")
    for name, above, below in (("recorded / bare FastHttpUser", 1, 0), ("recorded / not recorded", 1, 2)):
        ratios = sorted(row[above] / row[below] for row in found)
        print(f"{name:30} {statistics.median(ratios):5.2f}  ({ratios[0]:.2f} to {ratios[-1]:.2f}, {ROUNDS} rounds)")


if __name__ == "__main__":
    main(sys.argv[1])
