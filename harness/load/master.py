"""A crew of many workers, here or on other hosts, on Locust's own distribution: its connections, heartbeats, users."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import gevent
import msgspec
import zstandard
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner

from harness.core.errors import LoadError
from harness.core.tape import tape_lines
from harness.load.job import Line, LoadJob, Note
from harness.load.messages import (
    CHANNEL,
    Dismiss,
    Done,
    News,
    Order,
    Prepare,
    Prepared,
    TapePart,
    TapesEnd,
    decode_news,
    encode,
    versions,
)
from harness.load.worker import plans_of

LOOPBACK: Final = "127.0.0.1"
_LINES: Final = 4096
"""Requests in one message."""
_PREPARED: Final = 120.0
"""Seconds that workers get to plan their share."""
_START: Final = 60.0
"""Seconds that workers started here get to connect."""


class Master:
    """A crew of workers that connect to this process. A context manager: none that it started stays behind.

    Args:
        job: the whole of it; `join`, `bind` and `patience` say where the workers come from.
        folder: for the tapes of workers that are started here.
        hear: takes the workers' news.
        say: takes lines for the driver.

    Raises:
        LoadError: the port is taken.
    """

    def __init__(
        self, job: LoadJob, folder: Path, hear: Callable[[str, News], None], say: Callable[[Line], None]
    ) -> None:
        self.job, self.workers, self._folder = job, job.workers, folder
        self._hear, self._say = hear, say
        host, _, port = (job.bind or f"{LOOPBACK}:0").rpartition(":")
        self._environment = Environment(user_classes=[], host=job.url)
        try:
            self._runner: MasterRunner = self._environment.create_master_runner(host, int(port))
        except SystemExit as error:
            raise LoadError(f"{job.bind} is in use", hint="give another address with --bind") from error
        self._runner.register_message(CHANNEL, self._take)
        self._address = f"{host}:{self._runner.server.port}"
        self._crew: list[str] = []
        self._prepared: dict[str, Prepared] = {}
        self._done: set[str] = set()
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Master":
        return self

    def __exit__(self, *exc: object) -> None:
        self._runner.quit()
        for child in self._children:
            if child.poll() is None:
                child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def gather(self, given_up: Callable[[], bool]) -> None:
        """Have all workers connected and prepared.

        Args:
            given_up: whether the user does not want to wait any longer.

        Raises:
            LoadError: too few came in time, or one cannot take its share.
        """
        if not self.job.join:
            self._children = [self._start(number) for number in range(self.workers)]
        self._wait_for(
            lambda: len(self._runner.clients.ready) >= self.workers,
            self.job.patience if self.job.join else _START,
            lambda: f"{len(self._runner.clients.ready)} of {self.workers} workers came",
            f"start them with 'membench worker --join {self._address}'" if self.job.join else "see standard error",
            given_up,
        )
        self._crew = [client.id for client in self._runner.clients.ready][: self.workers]
        for number, client in enumerate(self._crew):
            for order in self._share(number):
                self._send(order, client)
                gevent.sleep(0)
        self._wait_for(
            lambda: len(self._prepared) >= self.workers or any(p.problem for p in self._prepared.values()),
            _PREPARED,
            lambda: f"{len(self._prepared)} of {self.workers} workers planned their share in {_PREPARED:g} s",
            "see whether they are out of memory or disk",
            given_up,
        )
        for client, prepared in self._prepared.items():
            if prepared.problem:
                raise LoadError(f"worker {_short(client)}: {prepared.problem}")
            if prepared.versions != versions():
                raise LoadError(
                    f"worker {_short(client)} has {prepared.versions}, this is {versions()}: its load would be another",
                    hint="install the same versions on all hosts",
                )

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        host, _, port = self._address.rpartition(":")
        folder = self._folder / f"worker-{number}"
        folder.mkdir()
        words = [sys.executable, "-m", "harness.load.process", "--worker", host, port, str(folder), str(os.getpid())]
        # In a session of its own, so that Ctrl-C in a terminal reaches the driver alone.
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)

    def tell(self, order: Order) -> None:
        """Send it to all."""
        for client in self._crew:
            self._send(order, client)

    def lost(self, *, reporting: bool) -> str:
        """The first worker that went away before it had reported.

        Args:
            reporting: whether they are folding their reports, which keeps them from answering for seconds.
        """
        for number, child in enumerate(self._children):
            if (status := child.poll()) is not None:
                how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
                return f"worker {number + 1} of {self.workers} was lost: {how}"
        for client in self._crew:
            node = self._runner.clients.get(client)
            silent = node is None or (node.state == STATE_MISSING and not reporting)
            if silent and client not in self._done:
                return f"worker {_short(client)} was lost: it answers no more"
        return ""

    def dismiss(self, seconds: float) -> None:
        """Tell the workers that come back within some seconds that no more jobs will come."""
        until = time.monotonic() + seconds
        told: set[str] = set()
        while len(told) < self.workers and time.monotonic() < until:
            for client in [node.id for node in self._runner.clients.ready if node.id not in told]:
                self._send(Dismiss(), client)
                told.add(client)
            gevent.sleep(0.1)

    def _take(self, environment: Environment, msg: Message, **_: Any) -> None:
        try:
            news = decode_news(msg.data["data"])
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            news = Prepared("", f"it speaks another version: {error}")
        if isinstance(news, Prepared):
            self._prepared[msg.node_id] = news
        if isinstance(news, Done):
            self._done.add(msg.node_id)
        self._hear(msg.node_id, news)

    def _send(self, order: Order, client: str) -> None:
        self._runner.send_message(CHANNEL, {"data": encode(order)}, client_id=client)

    def _share(self, number: int) -> Iterator[Order]:
        """The orders that give one worker its job."""
        job = msgspec.structs.replace(self.job, worker=number)
        yield Prepare(job)
        plans = plans_of(job)
        compress = zstandard.ZstdCompressor().compress
        for index, (operation, path) in enumerate(job.tapes.items()):
            chosen: Any
            if plans is None:
                chosen = range(number, sys.maxsize, self.workers)
            else:
                chosen = [*plans.warmup.requests_of(index).tolist(), *plans.measure.requests_of(index).tolist()]
            lines = (line for _, line in tape_lines(Path(path), chosen))
            while part := b"".join(islice(lines, _LINES)):
                yield TapePart(operation, compress(part))
        yield TapesEnd()

    def _wait_for(
        self,
        done: Callable[[], bool],
        seconds: float,
        so_far: Callable[[], str],
        hint: str,
        given_up: Callable[[], bool],
    ) -> None:
        until = told = time.monotonic()
        until += seconds
        while not done():
            if time.monotonic() > until or given_up():
                raise LoadError(f"only {so_far()}", hint=hint)
            if self.job.join and time.monotonic() - told > 5:
                told = time.monotonic()
                self._say(Note(f"{so_far()}; {hint}"))
            gevent.sleep(0.05)


def _short(client: str) -> str:
    """A worker's host and the beginning of its number."""
    return client[: client.rfind("_") + 7]
