"""What one source writes down while it is read: values, events, and what it could not read."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from harness.core.readings import Event, Group, Sample, Series

Now = Callable[[], float]
SECOND: Final = 0.2
"""Least seconds between two readings of a counter from which a rate is told."""


@dataclass
class Sighting:
    """Something seen again and again while it lasts, `began` and `last` seconds of the monotonic clock."""

    group: Group
    kind: str
    began: float
    last: float
    text: Callable[[float], str]


class Notes:
    """Series and events of one source, by the monotonic clock until second 0 is known.

    Written by one thread. Another may read at any time, also if the writer hangs: lists only ever grow.

    Args:
        group: whose readings they are.
        now: the monotonic clock, seconds.
    """

    def __init__(self, group: Group, now: Now = time.monotonic) -> None:
        self.group, self.now = group, now
        self.missing: dict[str, None] = {}
        self._values: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self._counters: dict[str, tuple[float, float]] = {}
        self._sightings: list[Sighting] = []
        self._open: dict[object, Sighting] = {}

    def gauge(self, name: str, unit: str, value: float) -> None:
        """A value now."""
        self._values.setdefault((name, unit), []).append((self.now(), value))

    def counter(self, name: str, unit: str, value: float, *, scale: float = 1.0) -> float | None:
        """A total so far: its growth per second since the reading before is noted, times `scale`.

        Returns:
            that figure; None for the first reading, and after a restart has set the counter back.
        """
        now = self.now()
        then, before = self._counters.get(name, (now, value))
        if name in self._counters and now - then < SECOND:
            return None
        self._counters[name] = now, value
        if now <= then or value < before:
            return None
        rate = (value - before) / (now - then) * scale
        self._values.setdefault((name, unit), []).append((now, rate))
        return rate

    def see(self, key: object, kind: str, text: Callable[[float], str], *, began: float | None = None) -> None:
        """Something is under way. Seen under the same key without a break, it is one event.

        Args:
            key: what makes it the same.
            kind: of the event.
            text: the event's, from the seconds that it lasted.
            began: when it did, where that is known; else now.
        """
        now = self.now()
        known = self._open.get(key)
        if known is None:
            known = Sighting(self.group, kind, now if began is None else began, now, text)
            self._open[key] = known
            self._sightings.append(known)
        known.last, known.text = now, text

    def keep(self, keys: Iterable[object], kind: str) -> None:
        """Of this kind only these are still under way."""
        still = set(keys)
        for key, sighting in list(self._open.items()):
            if sighting.kind == kind and key not in still:
                del self._open[key]

    def is_open(self, key: object) -> bool:
        """Whether it was under way when last looked for."""
        return key in self._open

    def lacks(self, sentence: str) -> None:
        """Something cannot be read."""
        self.missing[sentence] = None

    def samples(self, name: str, origin: float) -> list[Sample]:
        """The values of one series, their seconds counted from `origin`."""
        return next((one.values for one in self.series(origin) if one.name == name), [])

    def series(self, origin: float) -> list[Series]:
        """All series, their seconds counted from `origin` on the monotonic clock."""
        return [
            Series(self.group, name, unit, [Sample(round(at - origin, 3), value) for at, value in list(values)])
            for (name, unit), values in list(self._values.items())
        ]

    def events(self, origin: float) -> list[Event]:
        """All events likewise."""
        return [
            Event(
                group=one.group,
                second=round(one.began - origin, 3),
                seconds=round(one.last - one.began, 3),
                text=one.text(one.last - one.began),
                kind=one.kind,
            )
            for one in list(self._sightings)
        ]
