"""What the conductor of a run and its workers say to each other, in one process or over Locust's own connections."""

from importlib.metadata import version
from typing import Final

import msgspec
from msgspec import Struct

import harness
from harness.load.job import LoadJob, LoadReport, Progress

CHANNEL: Final = "membench"
"""The type of Locust's custom messages that carry these."""


class Prepare(Struct, tag=True):
    """Plan this job; its tapes follow, in parts."""

    job: LoadJob


class TapePart(Struct, tag=True):
    """Lines of one operation's tape, compressed (zstd); the worker's own share, in order."""

    operation: str
    lines: bytes


class TapesEnd(Struct, tag=True):
    """All tapes are there."""


class Begin(Struct, tag=True):
    """The warm-up begins in `delay` seconds."""

    delay: float


class Measure(Struct, tag=True):
    """The measure phase begins in `delay` seconds."""

    delay: float


class Stop(Struct, tag=True):
    """End now; what was measured is wanted."""


class Dismiss(Struct, tag=True):
    """No more jobs will come."""


Order = Prepare | TapePart | TapesEnd | Begin | Measure | Stop | Dismiss


class Prepared(Struct, tag=True):
    """Ready to begin.

    Attributes:
        versions: of what the plan depends on; workers of other versions would plan another load.
        problem: why it is not ready; empty when it is.
    """

    versions: str
    problem: str = ""


class Pulse(Struct, tag=True):
    """The successful answers of the last quarter of a second of warm-up, for the test of steadiness.

    Attributes:
        count: of them.
        log_sum: sum of the logarithms of their response times (microseconds).
    """

    count: int
    log_sum: float


class Tick(Struct, tag=True):
    """How far a worker is."""

    progress: Progress


class Done(Struct, tag=True):
    """All that a worker measured."""

    report: LoadReport


News = Prepared | Pulse | Tick | Done


def versions() -> str:
    """What a plan depends on: generators of other versions would offer another load."""
    return f"membench {harness.__version__}, numpy {version('numpy')}"


def encode(message: Order | News) -> bytes:
    """One message as bytes."""
    return msgspec.msgpack.encode(message)


def decode_order(data: bytes) -> Order:
    """The order that `encode` wrote.

    Raises:
        msgspec.MsgspecError: it is something else; another version wrote it, say.
    """
    return msgspec.msgpack.decode(data, type=Order)  # type: ignore[no-any-return]


def decode_news(data: bytes) -> News:
    """The news that `encode` wrote; raises like `decode_order`."""
    return msgspec.msgpack.decode(data, type=News)  # type: ignore[no-any-return]
