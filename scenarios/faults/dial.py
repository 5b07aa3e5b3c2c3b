"""Values of faults: as they were named, and as a file sets them while the service runs."""

import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

VARIABLE: Final = "MEMBENCH_FAULTS_FILE"
"""The environment variable that names the file."""
_SECONDS: Final = 0.05


class Value(NamedTuple):
    """What a fault may be set to."""

    default: float
    low: float
    high: float


def read(words: Iterable[str], known: Mapping[str, Value | None]) -> dict[str, float]:
    """Values by name from words such as slow_search=1.2; those without a value have 1.

    Args:
        words: to read.
        known: what each name takes; None for no value.

    Raises:
        ValueError: a name is unknown, or a value is not what it takes.
    """
    values: dict[str, float] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if name not in known:
            raise ValueError(f"there is no fault {name!r} here")
        takes = known[name]
        if takes is None:
            if equals:
                raise ValueError(f"{name} takes no value")
            values[name] = 1.0
            continue
        try:
            values[name] = float(text) if equals else takes.default
        except ValueError:
            raise ValueError(f"{word}: {text!r} is not a number") from None
        if not takes.low <= values[name] <= takes.high:
            raise ValueError(f"{word}: not within {takes.low:g} to {takes.high:g}")
    return values


class Dial:
    """The values of what is planted, now.

    The file is read, not asked when it was written: two writes within a tick of the file system's clock look like one.
    Nor is there a signal: one that comes before there is a handler for it would end the service.

    Args:
        known: what each name takes.
        values: at first.
        path: of the file; None without one.
    """

    def __init__(self, known: Mapping[str, Value | None], values: Mapping[str, float], path: Path | None) -> None:
        self._known = known
        self._values = dict(values)
        self._path = path
        self._text = ""
        self._next = 0.0

    def __getitem__(self, name: str) -> float:
        if self._path is not None and (now := time.monotonic()) >= self._next:
            self._next = now + _SECONDS
            self._look(self._path)
        return self._values[name]

    def _look(self, path: Path) -> None:
        try:
            text = path.read_text()
        except FileNotFoundError:
            return
        if text == self._text:
            return
        self._text = text
        try:
            self._values |= read(text.split(), self._known)
        except ValueError as error:
            print(f"scenarios.faults: {path} is not obeyed: {error}", file=sys.stderr, flush=True)
