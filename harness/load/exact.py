"""Asks searches of a run again, exactly, once the load is over."""

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from harness.core.recall import Hit
from harness.core.secrets import authorization
from harness.load.sampling import Answered

PATIENCE: Final = 30.0
"""Seconds for all exact searches of an operation; what is not answered by then stays unanswered."""
AT_ONCE: Final = 3
DESCRIPTION: Final = "/openapi.json"
FIELD: Final = "exact"
_TIMEOUT: Final = 10.0
_LIMIT_MAX: Final = 1_000
_DEFAULT_LIMIT: Final = 10
_FAILURES: Final = (OSError, ValueError, http.client.HTTPException)

Way = Literal["query", "body"]


class _Memory(Struct):
    id: str
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_accessed_at: datetime | None = None


class _Result(Struct):
    memory: _Memory
    score: float | None = None


class _Answer(Struct):
    results: list[_Result]


class _Asked(Struct):
    limit: int = _DEFAULT_LIMIT


def hits(answer: bytes) -> list[Hit]:
    """The results in the body of an answer.

    Raises:
        msgspec.MsgspecError: it is no answer to a search.
    """
    found = []
    for result in msgspec.json.decode(answer, type=_Answer).results:
        memory = result.memory
        times = (memory.created_at, memory.updated_at, memory.last_accessed_at)
        touched = max((one.timestamp() for one in times if one is not None), default=0.0)
        found.append(Hit(memory.id, result.score, touched))
    return found


def limit_of(body: bytes) -> int:
    """How many results a search asks for."""
    return msgspec.json.decode(body, type=_Asked).limit


def exact_way(url: str, path: str) -> Way | None:
    """How a service's own description says that a search is made exact: a field `exact`, in the query or in the body.

    Only the description can tell: a service that knows no such field answers a request with it all the same, as fast
    and as approximately as ever.

    Args:
        url: the service's root.
        path: of the search, without its query.

    Returns:
        None where there is no description, or nothing about it in there.
    """
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url + DESCRIPTION, headers=authorization()), timeout=_TIMEOUT
        ) as answer:
            document: Any = msgspec.json.decode(answer.read())
        operation = document["paths"][path]["post"]
        if any(one.get("name") == FIELD and one.get("in") == "query" for one in operation.get("parameters", [])):
            return "query"
        schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
        for part in schema.get("$ref", "#").split("/")[1:]:
            schema = document = document[part]
        return "body" if FIELD in schema.get("properties", {}) else None
    except (*_FAILURES, LookupError, AttributeError, TypeError, StopIteration):
        return None


def ask_exactly(
    url: str,
    samples: Sequence[Answered],
    way: Way,
    *,
    on_answer: Callable[[int], None],
    stop: threading.Event | None = None,
    patience: float = PATIENCE,
) -> list[list[Hit] | None]:
    """Ask each search again, exactly, and for more results than before.

    Args:
        url: the service's root.
        samples: what was asked under load.
        way: how exactness is asked for.
        on_answer: told how many are done.
        stop: once set, no further search is sent.
        patience: seconds for all together.

    Returns:
        for each sample, in their order, the results, the best first; None where there was no good answer in time.
    """
    deadline = time.monotonic() + patience
    stop = stop or threading.Event()
    found: list[list[Hit] | None] = [None] * len(samples)

    def ask(number: int) -> None:
        left = deadline - time.monotonic()
        if left > 0 and not stop.is_set():
            found[number] = _ask(url, samples[number], way, min(left, _TIMEOUT))

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="exact") as pool:
        futures = [pool.submit(ask, number) for number in range(len(samples))]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            on_answer(done)
    return found


def _ask(url: str, sample: Answered, way: Way, timeout: float) -> list[Hit] | None:
    body: dict[str, Any] = msgspec.json.decode(sample.body)
    # Room for results that will not count: equals of the last one, and what was created or changed meanwhile.
    body["limit"] = min(2 * limit_of(sample.body) + 50, _LIMIT_MAX)
    path = sample.path
    if way == "body":
        body[FIELD] = True
    else:
        path += ("&" if "?" in path else "?") + f"{FIELD}=true"
    headers = {"Content-Type": "application/json"} | authorization()
    request = urllib.request.Request(url + path, msgspec.json.encode(body), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return hits(answer.read())
    except (*_FAILURES, msgspec.MsgspecError):
        return None
