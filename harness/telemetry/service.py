"""What the service says of itself while load runs: its pool, its caches, its compression."""

import http.client
import threading
import time
import urllib.request

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from harness.core.readings import Sample, ServiceReadings

PERIOD = 0.5
"""Seconds between two readings of the pool."""
_TIMEOUT = 2.0
HITS, MISSES = "memory_cache_hits", "memory_cache_misses"
COMPRESSION = "memory_compression_ratio"


class _Pool(msgspec.Struct):
    utilization: float


class ServiceWatch:
    """Reads a service's pool each half second between `start` and `stop`, and its counters at both ends.

    A service that has no such endpoints is measured without them: the readings stay empty.

    Args:
        url: the service's root.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._pool: list[Sample] = []
        self._missed = 0
        self._before: dict[str, dict[str, float]] | None = None

    def start(self) -> None:
        """The measure phase begins."""
        self._before = self._counters()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="service-watch", daemon=True)
        self._thread.start()

    def stop(self) -> ServiceReadings:
        """The measure phase is over."""
        if self._thread is None:
            return ServiceReadings()
        self._over.set()
        self._thread.join()
        after = self._counters()
        readings = ServiceReadings(pool_utilization=self._pool, pool_missed=self._missed)
        # A difference needs both ends: against a reading that failed it would count all since the service started.
        if after is not None and self._before is not None:
            readings.cache_hits = _growth(self._before.get(HITS, {}), after.get(HITS, {}))
            readings.cache_misses = _growth(self._before.get(MISSES, {}), after.get(MISSES, {}))
            readings.compression_ratio = after.get(COMPRESSION, {}).get("row")
        return readings

    def _watch(self) -> None:
        while not self._over.wait(PERIOD):
            data = fetch(f"{self._url}/debug/pool-stats")
            second = round(time.monotonic() - self._began, 3)
            try:
                self._pool.append(Sample(second, msgspec.json.decode(data or b"", type=_Pool).utilization))
            except msgspec.MsgspecError:
                self._missed += 1

    def _counters(self) -> dict[str, dict[str, float]] | None:
        """The wanted metrics, by name and then by cache or part; None if they cannot be read."""
        data = fetch(f"{self._url}/metrics")
        if data is None:
            return None
        found: dict[str, dict[str, float]] = {}
        try:
            for family in text_string_to_metric_families(data.decode()):
                if family.name in (HITS, MISSES, COMPRESSION):
                    for sample in family.samples:
                        if not sample.name.endswith("_created"):
                            # A service of several processes tells them apart by another label.
                            label = sample.labels.get("cache") or sample.labels.get("part", "")
                            values = found.setdefault(family.name, {})
                            if family.name == COMPRESSION:
                                values[label] = max(values.get(label, 0.0), sample.value)
                            else:
                                values[label] = values.get(label, 0.0) + sample.value
        except ValueError:
            return None
        return found


def fetch(url: str) -> bytes | None:
    """What a GET of `url` answers; None for anything but 200 within two seconds."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            return bytes(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return None


def _growth(before: dict[str, float], after: dict[str, float]) -> dict[str, int]:
    return {label: round(value - before.get(label, 0)) for label, value in after.items()}
