"""What the service says of itself while load runs: its pool, its caches, its queues, its memory."""

import http.client
import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from harness.core.readings import Sample, ServiceReadings
from harness.core.secrets import authorization
from harness.telemetry.notes import Notes

PERIOD: Final = 0.5
"""Seconds between two readings of the pool."""
_TIMEOUT: Final = 2.0
HITS, MISSES = "memory_cache_hits_total", "memory_cache_misses_total"
COMPRESSION = "memory_compression_ratio"
MIB: Final = 1024 * 1024


class Wanted(NamedTuple):
    """A metric worth a series: its name with `{}` for the label's value, its unit, and how it is shown."""

    name: str
    unit: str
    scale: float = 1.0
    rate: bool = False


WANTED: Final = {
    "process_resident_memory_bytes": Wanted("resident memory", "MiB", 1 / MIB),
    "process_cpu_seconds_total": Wanted("CPU of the service", "%", 100, rate=True),
    "python_gc_collections_total": Wanted("collections of garbage, generation {}", "1/s", rate=True),
    "memory_pool_busy": Wanted("connections in use", ""),
    "memory_pool_waiting": Wanted("requests waiting for a connection", ""),
    "memory_requests_in_flight": Wanted("requests in flight", ""),
    "memory_admission_waiting": Wanted("requests waiting for admission: {}", ""),
    "memory_admission_rejected_total": Wanted("requests rejected: {}", "1/s", rate=True),
    "memory_create_queue": Wanted("creates waiting for their group", ""),
    "memory_arrivals": Wanted("memories not yet indexed", ""),
}
_NAMES: Final = "|".join([*WANTED, HITS, MISSES, COMPRESSION])
# A parser of the whole text takes 6 ms of CPU for the reference service's 22 KB, each second on a machine that is
# being measured. A few names found line by line take 0.2 ms.
_LINE: Final = re.compile(rf"^({_NAMES})(?:\{{([^}}]*)\}})? (\S+)", re.MULTILINE)
_LABEL: Final = re.compile(r'(?:cache|part|queue|generation)="([^"]*)"')

Metrics = dict[str, dict[str, float]]
"""Values by the metric's name and then by its cache, part, queue or generation."""


class _Pool(msgspec.Struct):
    utilization: float


class Client:
    """Gets one path again and again over one connection.

    Args:
        url: the service's root and the path.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=_TIMEOUT)
        self._path = parts.path or "/"

    def get(self) -> bytes | None:
        """What it answers; None for anything but 200 within two seconds."""
        try:
            self._connection.request("GET", self._path, headers=authorization())
            answer = self._connection.getresponse()
            body = answer.read()
        except (OSError, ValueError, http.client.HTTPException):
            self._connection.close()
            return None
        return body if answer.status == 200 else None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class PoolSource:
    """A service's connection pool each half second: `pool_utilization`, 0 to 1.

    Args:
        url: the service's root.
    """

    name = "the service's pool"
    period = PERIOD

    def __init__(self, url: str) -> None:
        self.notes = Notes("service")
        self.missed = 0
        self._client = Client(f"{url}/debug/pool-stats")

    def open(self) -> None:
        """Nothing to prepare."""

    def begin(self) -> None:
        """The measure phase begins: what was missed before does not count."""
        self.missed = 0

    def read(self) -> None:
        """One reading."""
        try:
            pool = msgspec.json.decode(self._client.get() or b"", type=_Pool)
            self.notes.gauge("pool utilization", "%", 100 * pool.utilization)
        except msgspec.MsgspecError:
            self.missed += 1

    def close(self) -> None:
        """Hang up."""
        self._client.close()


class MetricsSource:
    """A service's /metrics each second: those of `WANTED` that it has, and the hits of its caches.

    Args:
        url: the service's root.
    """

    name = "the service's /metrics"
    period = 1.0

    def __init__(self, url: str) -> None:
        self.notes = Notes("service")
        self._client = Client(f"{url}/metrics")
        self._before: Metrics | None = None
        self._last: Metrics | None = None
        self.readings = ServiceReadings()

    def open(self) -> None:
        """Nothing to prepare."""

    def begin(self) -> None:
        """The measure phase begins."""
        self._before = self._fetch()

    def read(self) -> None:
        """One reading."""
        metrics = self._fetch()
        if metrics is None:
            self.notes.lacks("some readings of the service's own metrics: /metrics did not answer, or not with 200")
            return
        for metric, wanted in WANTED.items():
            for label, value in metrics.get(metric, {}).items():
                name = wanted.name.format(label)
                if wanted.rate:
                    self.notes.counter(name, wanted.unit, value, scale=wanted.scale)
                else:
                    self.notes.gauge(name, wanted.unit, value * wanted.scale)
        if self._last is not None:
            self._hit_ratios(self._last, metrics)
        self._last = metrics

    def close(self) -> None:
        """The measure phase is over."""
        after = self._fetch()
        self._client.close()
        # A difference needs both ends: against a reading that failed it would count all since the service started.
        if after is not None and self._before is not None:
            self.readings.cache_hits = _growth(self._before.get(HITS, {}), after.get(HITS, {}))
            self.readings.cache_misses = _growth(self._before.get(MISSES, {}), after.get(MISSES, {}))
            self.readings.compression_ratio = after.get(COMPRESSION, {}).get("row")

    def _hit_ratios(self, before: Metrics, after: Metrics) -> None:
        hits = _growth(before.get(HITS, {}), after.get(HITS, {}))
        misses = _growth(before.get(MISSES, {}), after.get(MISSES, {}))
        for cache, hit in hits.items():
            if (asked := hit + misses.get(cache, 0)) > 0:
                self.notes.gauge(f"{cache} cache hits", "%", 100 * hit / asked)

    def _fetch(self) -> Metrics | None:
        data = self._client.get()
        return None if data is None else scan(data.decode(errors="replace"))


def scan(text: str) -> Metrics:
    """The wanted metrics of an exposition in Prometheus' text format.

    Processes of one service tell themselves apart by another label: their values add up, and ratios give their largest.
    """
    found: Metrics = {}
    for name, labels, value in _LINE.findall(text):
        label = match[1] if (match := _LABEL.search(labels)) else ""
        values = found.setdefault(name, {})
        try:
            number = float(value)
        except ValueError:
            continue
        if name == COMPRESSION:
            values[label] = max(values.get(label, 0.0), number)
        else:
            values[label] = values.get(label, 0.0) + number
    return found


def service_readings(pool: PoolSource, metrics: MetricsSource, origin: float) -> ServiceReadings:
    """The measure phase's readings, by the clock that `origin` began it on."""
    readings = metrics.readings
    samples = pool.notes.samples("pool utilization", origin)
    readings.pool_utilization = [Sample(one.second, one.value / 100) for one in samples if one.second >= 0]
    readings.pool_missed = pool.missed
    return readings


def fetch(url: str) -> bytes | None:
    """What a GET of `url` answers; None for anything but 200 within two seconds."""
    client = Client(url)
    try:
        return client.get()
    finally:
        client.close()


def _growth(before: dict[str, float], after: dict[str, float]) -> dict[str, int]:
    return {label: round(value - before.get(label, 0)) for label, value in after.items()}
