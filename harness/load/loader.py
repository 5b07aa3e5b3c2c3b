"""Fills a service with memories through its batch endpoint."""

import contextlib
import http.client
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from harness.core.errors import LoadError
from harness.core.secrets import authorization

BATCH: Final = 500
CONNECTIONS: Final = 4
"""Enough to keep embedding, transfer and commit of different batches overlapping."""
PATH: Final = "/api/v1/memories/batch?return=minimal"
_TIMEOUT = 300.0
_HEADERS: Final = {"Content-Type": "application/json"}

T = TypeVar("T", bound=Struct)


class _Outcome(Struct):
    status: int
    id: str = ""
    deduplicated: bool = False
    error: dict[str, object] = {}


class _Answer(Struct):
    results: list[_Outcome]


class Loaded(Struct):
    """What loading did.

    Attributes:
        count: memories sent, all of them accepted.
        deduplicated: how many of them the service had already.
        seconds: how long it took.
    """

    count: int = 0
    deduplicated: int = 0
    seconds: float = 0.0


def load(
    url: str,
    batches: Iterable[Sequence[T]],
    on_batch: Callable[[Sequence[T], list[str]], None],
) -> Loaded:
    """Create memories, several batches at once, and tell the id of each.

    Args:
        url: the service's root.
        batches: at most 1,000 memories each; read as they are needed.
        on_batch: called with each batch and its ids, in the order of `batches`.

    Raises:
        LoadError: the service refused a batch or an item of one, or went away.
    """
    done, began = Loaded(), time.monotonic()
    connections = _Connections(url)
    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="loader") as pool:
        try:
            for batch, answer in _in_order(pool, connections.send, batches):
                _refuse_failures(answer)
                on_batch(batch, [outcome.id for outcome in answer.results])
                done.count += len(batch)
                done.deduplicated += sum(outcome.deduplicated for outcome in answer.results)
        except BaseException:
            # Also on Ctrl-C: what is not under way must not begin.
            pool.shutdown(wait=False, cancel_futures=True)
            connections.close()
            raise
    connections.close()
    done.seconds = time.monotonic() - began
    return done


def _in_order(
    pool: ThreadPoolExecutor, send: Callable[[Sequence[T]], _Answer], batches: Iterable[Sequence[T]]
) -> Iterator[tuple[Sequence[T], _Answer]]:
    source = iter(batches)
    waiting: list[tuple[Sequence[T], Future[_Answer]]] = []
    for batch in itertools.chain(source, itertools.repeat(None)):
        if batch is not None:
            waiting.append((batch, pool.submit(send, batch)))
        if batch is None and not waiting:
            return
        if batch is None or len(waiting) > CONNECTIONS:
            first, future = waiting.pop(0)
            yield first, future.result()


def _refuse_failures(answer: _Answer) -> None:
    for outcome in answer.results:
        if outcome.status != 200:
            raise LoadError(f"the service refused a memory of the corpus: {outcome.error.get('message', outcome)}")


class _Connections:
    """A kept-alive connection for each thread."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._local = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def send(self, batch: Sequence[T]) -> _Answer:
        body = msgspec.json.encode({"memories": list(batch)})
        connection = self._connection()
        try:
            connection.request("POST", self._parts.path + PATH, body, _HEADERS | authorization())
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LoadError(f"the service went away while data was loaded: {error!r}") from error
        if answer.status != 200:
            raise LoadError(
                f"the service answered {answer.status} to a batch of memories: {data[:200].decode(errors='replace')}"
            )
        try:
            return msgspec.json.decode(data, type=_Answer)
        except msgspec.DecodeError as error:
            raise LoadError(f"the service's answer to a batch is not understood: {error}") from error

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
            self._local.connection = kind(self._parts.hostname or "", self._parts.port, timeout=_TIMEOUT)
            self._all.append(self._local.connection)
        return self._local.connection  # type: ignore[no-any-return]

    def close(self) -> None:
        for connection in self._all:
            # Only a shutdown wakes a thread that waits for an answer.
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()
