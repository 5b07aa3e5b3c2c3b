"""Locust users that follow the plan and stamp every request with the clocks of the recorder."""

import errno
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import gevent
from gevent.event import Event
from geventhttpclient import HTTPClient
from locust import User, task
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS as FAILURES
from locust.env import Environment
from locust.exception import LocustError, StopUser

from harness.core.errors import LoadError
from harness.core.pacing import OpenLoop
from harness.core.plan import Plans
from harness.core.recorder import NO_SERVER_TIME, UNKNOWN, OperationRecorder
from harness.core.scenario import ClosedArrivals, Phases
from harness.core.secrets import authorization
from harness.core.tape import Request
from harness.load.sampling import Answered, Reservoir
from harness.load.servertiming import server_time
from harness.load.timer import HubTimer

TIMEOUT = 75.0
"""Seconds. A slow answer is a measurement, not an error, up to the slowest critical threshold (60 s)."""
_OURS = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)
"""Failures of this machine: out of files or ports."""
_JSON = {"Content-Type": "application/json"}


@dataclass
class Session:
    """What all users of one load process share.

    Attributes:
        recorders: one per operation, in the plan's order.
        tapes: the next requests of each operation, in the warm-up and in the measure phase.
        phases: as planned.
        start: of the warm-up, nanoseconds.
        measure_start: of the measure phase, nanoseconds; unknown while it is not known.
        measure_end: from then on no request is sent.
        begun: set once `start` is known.
        problem: the first thing that went wrong in the generator itself.
        untold: finished requests that Locust has not heard of yet.
        reservoirs: of the operations whose answers are sampled, by their place among the recorders.
    """

    recorders: list[OperationRecorder]
    tapes: list[tuple[Iterator[Request], Iterator[Request]]]
    phases: Phases = field(default_factory=Phases)
    start: int = 0
    measure_start: int = UNKNOWN
    measure_end: int = UNKNOWN
    begun: Event = field(default_factory=Event)
    in_flight: int = 0
    max_in_flight: int = 0
    finished: bool = False
    problem: str = ""
    untold: list[tuple[str, str, float, int, str | None]] = field(default_factory=list)
    reservoirs: dict[int, Reservoir] = field(default_factory=dict)

    def tell_locust(self, environment: Environment) -> None:
        """Fire Locust's request event for all requests finished since the last call.

        Not at once for each, since in a burst of answers Locust's own bookkeeping for one would delay the stamp of
        the next.
        """
        told, self.untold = self.untold, []
        for method, name, milliseconds, length, error in told:
            environment.events.request.fire(  # type: ignore[no-untyped-call]
                request_type=method,
                name=name,
                response_time=milliseconds,
                response_length=length,
                exception=LocustError(error) if error else None,
                context={},
            )

    def sample(self, operation: int, request: Request, answer: bytes, sent: int) -> None:
        """Consider a good answer of the measure phase for the sample.

        Args:
            operation: index into the recorders; one with a reservoir.
            request: what was asked.
            answer: the body that came back.
            sent: when it was sent, nanoseconds.
        """
        reservoir = self.reservoirs[operation]
        if reservoir.wants_next():
            sent_at = time.time() - (time.perf_counter_ns() - sent) / 1e9
            name = self.recorders[operation].name
            reservoir.keep(Answered(name, request.path, bytes(request.body), bytes(answer), sent_at))

    def next_request(self, operation: int, *, measured: bool) -> Request:
        """The next request of an operation's tape for one of the phases.

        Raises:
            LoadError: the tape is at its end.
        """
        try:
            return next(self.tapes[operation][measured])
        except StopIteration:
            name = self.recorders[operation].name
            raise LoadError(f"the tape of {name} ended before the run") from None


class RecordedUser(User):
    """A Locust user whose requests are recorded on four clocks, and reported to Locust as well.

    It drives geventhttpclient, the engine under Locust's FastHttpUser, directly: the cookie jar, redirects and
    URL handling above it take longer than the request itself, on cores that the system under test may need.
    """

    abstract = True
    session: Session
    client: HTTPClient
    base: str = ""
    connections: str = "kept"

    def send(self, operation: int, request: Request, intended: int) -> int:
        """Send one request and record what became of it.

        Args:
            operation: index into the session's recorders.
            request: from its tape.
            intended: when it was due, nanoseconds.

        Returns:
            when its answer was complete, nanoseconds.
        """
        session = self.session
        recorder = session.recorders[operation]
        body = bytes(request.body)
        headers = _JSON if body else None
        session.in_flight += 1
        session.max_in_flight = max(session.max_in_flight, session.in_flight)
        recorder.send(intended)
        error, server, answer = None, NO_SERVER_TIME, b""
        client = self.client if self.connections == "kept" else connect(self.host, 1)
        sent = time.perf_counter_ns()
        try:
            # A new client connects in here: who has to connect waits for that too.
            response = client.request(request.method, self.base + request.path, body, headers)
            answer = response.read()
            ended = time.perf_counter_ns()
            server = server_time(response.get("server-timing"))
            if not 200 <= response.status_code < 300:
                error = f"HTTP {response.status_code}"
        except Exception as failure:  # whatever it is, the request has ended and must be counted
            ended = time.perf_counter_ns()
            error = type(failure).__name__
            if not isinstance(failure, FAILURES) or getattr(failure, "errno", None) in _OURS:
                # The service had no part in it.
                session.problem = session.problem or f"{error}: {failure}"
        finally:
            session.in_flight -= 1
            if client is not self.client:
                client.close()
        recorder.record(intended, sent, ended, server, error)
        session.untold.append((request.method, recorder.name, (ended - sent) / 1e6, len(answer), error))
        if operation in session.reservoirs and error is None and recorder.in_measure(intended):
            session.sample(operation, request, answer, sent)
        return ended


def connect(url: str | None, concurrency: int) -> HTTPClient:
    """A client that keeps up to `concurrency` connections to the service alive.

    Raises:
        LoadError: there is no URL.
    """
    if not url:
        raise LoadError("the users have no host", hint="give one with --host")
    client = HTTPClient.from_url(
        url,
        headers=authorization(),
        concurrency=concurrency,
        connection_timeout=TIMEOUT,
        network_timeout=TIMEOUT,
        block_size=64 * 1024,
    )
    # It tries a GET again on each connection that was closed on it, as often as the pool has connections. Once is what
    # a stale kept-alive connection needs; more would hide a service that crashes under load.
    client._connection_pool.size = 0
    return client


class OpenUser(RecordedUser):
    """One user that plays all callers of an open scenario, each request in a greenlet of its own."""

    abstract = True
    plans: Plans
    max_in_flight: int

    def on_start(self) -> None:
        """Open the pool of connections."""
        self.client = connect(self.host, self.max_in_flight)
        self.base = urlsplit(self.host or "").path.rstrip("/")

    @task
    def offer(self) -> None:
        """Offer the whole plan."""
        session = self.session
        session.begun.wait()
        timer = HubTimer()
        try:
            self._loop(timer, lambda: session.measure_start, measured=False).run(self.plans.warmup, session.start)
            while session.measure_start == UNKNOWN:
                gevent.sleep(0.001)
            self._loop(timer, lambda: session.measure_end, measured=True).run(self.plans.measure, session.measure_start)
        except Exception as error:  # a generator that breaks must never look like a quiet server
            session.problem = session.problem or f"{type(error).__name__}: {error}"
        else:
            session.finished = True
        finally:
            timer.close()
        raise StopUser

    def _loop(self, timer: HubTimer, deadline: Callable[[], int], *, measured: bool) -> OpenLoop[Request]:
        session = self.session
        return OpenLoop(
            timer,
            session.recorders,
            prepare=lambda operation: session.next_request(operation, measured=measured),
            send=self._spawn,
            in_flight=lambda: session.in_flight,
            max_in_flight=self.max_in_flight,
            deadline=deadline,
        )

    def _spawn(self, operation: int, request: Request, due: int) -> None:
        # It starts, and counts as in flight, within the timer's next wait, which always lets others run.
        gevent.spawn(self.send, operation, request, due)


class ClosedUser(RecordedUser):
    """One of N users who think, send, and wait for the answer: a closed loop, and labelled as one."""

    abstract = True
    arrivals: ClosedArrivals
    weights: list[float]
    seed: int
    born = 0

    def on_start(self) -> None:
        """Give each user a connection and seeded thoughts of its own."""
        self.client = connect(self.host, 1)
        self.base = urlsplit(self.host or "").path.rstrip("/")
        type(self).born += 1
        self.random = random.Random(self.seed * 1_000_003 + type(self).born)

    @task
    def visit(self) -> None:
        """Think, then send; what the wait took beyond the think time is the generator's lag."""
        session, chooser = self.session, self.random
        least, most = self.arrivals.think
        operations = range(len(session.recorders))
        session.begun.wait()
        due = max(session.start, time.perf_counter_ns()) + round(chooser.uniform(least, most) * 1e9)
        try:
            while due < session.measure_end:
                operation = chooser.choices(operations, self.weights)[0]
                request = session.next_request(operation, measured=True)
                gevent.sleep(max(due - time.perf_counter_ns(), 0) / 1e9)
                if due >= session.measure_end:
                    break
                session.recorders[operation].plan(due)
                due = self.send(operation, request, due) + round(chooser.uniform(least, most) * 1e9)
        except Exception as error:  # as above
            session.problem = session.problem or f"{type(error).__name__}: {error}"
        raise StopUser
