"""The planned requests of one operation, written before the run.

Making a request then costs nothing while time is measured. A tape is JSON lines, one request a line:
``{"method":"POST","path":"/api/v1/search","body":{...}}``; a request without a body leaves that out.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec

from harness.core.errors import MembenchError

_AGAIN: Final = "plan the requests of this run again"


class TapeError(MembenchError):
    """A tape that cannot be written or read."""


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """One HTTP request to the system under test.

    Attributes:
        method: HTTP method, upper case.
        path: Path and query, from the first slash; no host.
        body: JSON as it goes over the wire; empty for none. ``bytes(request.body)`` are those bytes.
    """

    method: Annotated[str, msgspec.Meta(pattern="^[A-Z]+$")]
    path: Annotated[str, msgspec.Meta(pattern="^/")]
    body: msgspec.Raw = msgspec.Raw()


class TapeInfo(msgspec.Struct, frozen=True):
    """What was written.

    Attributes:
        count: Number of requests.
        sha256: Digest of the file, hex.
        bytes: Size of the file.
    """

    count: int
    sha256: str
    bytes: int


def write_tape(path: Path, requests: Iterable[Request]) -> TapeInfo:
    """Write requests, one a line; the file appears under its name only when it is complete.

    Args:
        path: The file; replaced if there is one.
        requests: Consumed one by one, so they may be more than fit into memory.

    Raises:
        TapeError: A body holds a line break, so it is not one line of JSON.
        OSError: The file cannot be written.
    """
    encoder = msgspec.json.Encoder()
    digest = hashlib.sha256()
    count = size = 0
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb", buffering=1 << 20) as file:
            for request in requests:
                # An empty Raw other than the default would be written as a key without a value.
                bodiless = len(memoryview(request.body)) == 0
                line = encoder.encode(Request(request.method, request.path) if bodiless else request) + b"\n"
                if line.find(b"\n") != len(line) - 1:
                    raise TapeError(
                        f"request {count + 1} ({request.method} {request.path}) has a body of several lines",
                        hint="encode it without line breaks",
                    )
                file.write(line)
                digest.update(line)
                size += len(line)
                count += 1
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return TapeInfo(count, digest.hexdigest(), size)


def read_tape(path: Path, chosen: Iterable[int] | None = None) -> Iterator[Request]:
    """Read requests one by one.

    Args:
        path: The tape.
        chosen: The numbers of those to read, from 0, ascending; None for all. The tape may end before the last.

    Raises:
        TapeError: A line is not a request; the message names it. A missing file is a ``TapeError`` too.
    """
    decoder = msgspec.json.Decoder(Request)
    for number, line in tape_lines(path, chosen):
        try:
            yield decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise TapeError(f"{path}:{number + 1}: not a request: {error}", hint=_AGAIN) from error


def tape_lines(path: Path, chosen: Iterable[int] | None = None) -> Iterator[tuple[int, bytes]]:
    """The chosen lines as they are, each with its number from 0; otherwise like `read_tape`."""
    try:
        file = path.open("rb", buffering=1 << 20)
    except OSError as error:
        raise TapeError(f"{path}: the tape cannot be opened: {error.strerror}", hint=_AGAIN) from error
    with file:
        wanted = itertools.count() if chosen is None else iter(chosen)
        following = next(wanted, None)
        for number, line in enumerate(file):
            if number == following:
                yield number, line
                following = next(wanted, None)
            if following is None:
                return
