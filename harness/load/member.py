"""A load worker that takes its orders from a master over Locust's own connection."""

import http.client
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import msgspec
import zstandard
from gevent.event import Event
from locust.env import Environment
from locust.rpc import Message
from locust.runners import WorkerRunner

from harness.core.errors import LoadError
from harness.core.secrets import KEY_VARIABLE, authorization
from harness.load.job import LoadJob
from harness.load.local import obey
from harness.load.messages import (
    CHANNEL,
    Begin,
    Dismiss,
    Done,
    News,
    Prepare,
    Prepared,
    TapePart,
    TapesEnd,
    decode_order,
    encode,
    versions,
)
from harness.load.worker import Worker

_REACHED = 10.0
"""Seconds within which the service must answer this host."""


class Member:
    """One worker of a crew, for one job.

    Args:
        host: the master's.
        port: its port.
        folder: for the tapes; whoever made it deletes it.

    Attributes:
        worked: whether it was given a job.
        dismissed: whether it was told that no more jobs will come.

    Raises:
        ConnectionError: no master answered for five minutes.
    """

    def __init__(self, host: str, port: int, folder: Path) -> None:
        self.worked = self.dismissed = False
        self._job: LoadJob | None = None
        self._worker: Worker | None = None
        self._over = Event()
        self._environment = Environment(user_classes=[])
        self._folder = folder
        self._runner: WorkerRunner = self._environment.create_worker_runner(host, port)
        self._runner.register_message(CHANNEL, self._take)

    def serve(self) -> None:
        """Work until the master lets it go, or the master or the parent process went away."""
        parent = os.getppid()
        while len(self._runner.greenlet) and not self._over.wait(0.2):
            if os.getppid() != parent:
                return

    def _take(self, environment: Environment, msg: Message, **_: Any) -> None:
        try:
            order = decode_order(msg.data["data"])
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            self._say(Prepared(versions(), f"the master speaks another version: {error}"))
            return
        match order:
            case Prepare(job):
                self._job = msgspec.structs.replace(job, tapes={name: self._tape(name) for name in job.tapes})
            case TapePart(operation, lines):
                with Path(self._tape(operation)).open("ab") as file:
                    file.write(zstandard.ZstdDecompressor().decompress(lines))
            case TapesEnd():
                gevent.spawn(self._prepare)
            case Dismiss():
                self.dismissed = True
                self._over.set()
            case _ if self._worker is not None:
                if isinstance(order, Begin):
                    # Its own share, by itself: were the master to spread users, one that joins late would move them.
                    user, count = self._worker.user_class()
                    self._environment.user_classes = [user]
                    gevent.spawn(self._runner.start_worker, {user.__name__: count})
                obey(self._worker, order)

    def _tape(self, operation: str) -> str:
        return str(self._folder / f"{operation}.jsonl")

    def _prepare(self) -> None:
        """Plan the share, and tell when it is ready or why it is not; then live through the phases."""
        self.worked = True
        try:
            if self._job is None:
                raise LoadError("its job got lost on the way", hint="run it again")
            for tape in self._job.tapes.values():
                Path(tape).touch()
            reach(self._job.url)
            self._worker = Worker(self._job, self._say, own_tapes=True)
        except Exception as error:  # whatever it is, the master must hear of it
            self._say(Prepared(versions(), f"{type(error).__name__}: {error}"))
            return
        self._say(Prepared(versions()))
        self._say(Done(self._worker.live(self._environment)))

    def _say(self, news: News) -> None:
        self._runner.send_message(CHANNEL, {"data": encode(news)})


def reach(url: str) -> None:
    """Make sure that this host reaches the service, and has the key that it wants.

    Raises:
        LoadError: it does not.
    """
    parts = urlsplit(url)
    kind: Callable[..., http.client.HTTPConnection] = (
        http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    )
    connection = kind(parts.hostname or "", parts.port, timeout=_REACHED)
    try:
        connection.request("GET", f"{parts.path}/api/v1/noop", headers=authorization())
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise LoadError(f"it does not reach the service at {url}: {error}") from error
    finally:
        connection.close()
    if status in (401, 403):
        raise LoadError(f"the service at {url} answers it with {status}: set {KEY_VARIABLE} on its host, too")
