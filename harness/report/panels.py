"""Which of the series that were read share a panel: those that a reader compares."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from harness.core.readings import Group, Sample, Series
from harness.core.record import ScenarioResult
from harness.report.beside import GROUPS

# The first pattern that a series' name fits decides; what fits none shares a panel with its unit's likes.
_TOPICS: Final[dict[Group, tuple[tuple[str, str], ...]]] = {
    "host": (
        ("pressure", r"pressure|psi|stall|\b(some|full)\b"),
        ("CPU", r"cpu|core|steal|idle|iowait"),
        ("disk", r"disk|read|writ|sync"),
        ("memory", r"memor|swap|page"),
    ),
    "postgres": (
        ("WAL and checkpoints", r"wal|checkpoint"),
        ("backends", r"\bbackends?\b|\blocks?\b"),
        ("pages found in shared buffers", r"hit|found in"),
        ("transactions", r"commit|rollback|deadlock"),
        ("rows and vacuum", r"vacuum|dead|tuple|row"),
    ),
    "service": (
        ("connection pool", r"pool|connection"),
        ("memory", r"\bmemory\b|rss"),
        ("caches", r"cache|hit"),
        ("CPU", r"cpu"),
        ("queues", r"wait|queue|flight|not yet"),
    ),
    "generator": (
        ("requests in flight", r"flight"),
        ("CPU", r"cpu|core"),
        ("memory", r"memor|rss"),
    ),
}
_WHOLE: Final = frozenset({"CPU", "connection pool", "pages found in shared buffers", "caches"})
"""Shares of something: drawn from 0 to 100%."""
_POOL: Final = "connection pool"


@dataclass
class Panel:
    """Series of one group, topic and unit.

    Attributes:
        title: for the reader: whose, what, and the unit.
        whole: whether they are shares of something whole.
    """

    group: Group
    topic: str
    unit: str
    series: list[Series] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Whose and what, with the unit."""
        named = f"{GROUPS[self.group]}: {self.topic or 'other'}"
        unit = {"1/s": "per second", "": ""}.get(self.unit, self.unit)
        return f"{named}, {unit}" if unit else named

    @property
    def whole(self) -> bool:
        """Whether the axis ends at 100%."""
        return self.unit == "%" and self.topic in _WHOLE


def panels(result: ScenarioResult) -> list[Panel]:
    """The panels that have data, in the order of their groups and topics."""
    found: dict[tuple[Group, str, str], Panel] = {}
    for series in _series(result):
        key = series.group, _topic(series), series.unit
        found.setdefault(key, Panel(*key)).series.append(series)
    order = list(GROUPS)
    topics = {group: [name for name, _ in rules] for group, rules in _TOPICS.items()}

    def place(panel: Panel) -> tuple[int, int]:
        known = topics[panel.group]
        return order.index(panel.group), known.index(panel.topic) if panel.topic in known else len(known)

    return sorted(found.values(), key=place)


def _series(result: ScenarioResult) -> Iterator[Series]:
    kept = [one for one in result.telemetry.series if one.values]
    # What stayed at nothing all the time says nothing that its absence does not.
    yield from (one for one in kept if any(sample.value for sample in one.values))
    # Read by the harness more often than telemetry is.
    busy = result.service.pool_utilization
    if busy and not any(one.group == "service" and _topic(one) == _POOL and one.unit == "%" for one in kept):
        yield Series("service", "pool in use", "%", [Sample(one.second, one.value * 100) for one in busy])


def _topic(series: Series) -> str:
    rules = _TOPICS[series.group]
    return next((topic for topic, pattern in rules if re.search(pattern, series.name, re.IGNORECASE)), "")
