"""What the service says of itself while load runs: its pool, its caches, its compression."""

import contextlib
import json
import threading
import time
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from harness.core.record import Sample, ServiceReadings

PERIOD = 0.5
"""Seconds between two readings of the pool."""
_TIMEOUT = 2.0
HITS, MISSES = "memory_cache_hits", "memory_cache_misses"
COMPRESSION = "memory_compression_ratio"


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
        self._before: dict[str, dict[str, float]] = {}

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
        ratio = after.get(COMPRESSION, {})
        return ServiceReadings(
            pool_utilization=self._pool,
            cache_hits=self._growth(HITS, after),
            cache_misses=self._growth(MISSES, after),
            compression_ratio=ratio.get("row"),
        )

    def _watch(self) -> None:
        while not self._over.wait(PERIOD):
            pool = self._get_json("/debug/pool-stats")
            if isinstance(pool, dict) and isinstance(pool.get("utilization"), int | float):
                self._pool.append(Sample(round(time.monotonic() - self._began, 3), float(pool["utilization"])))

    def _growth(self, name: str, after: dict[str, dict[str, float]]) -> dict[str, int]:
        before = self._before.get(name, {})
        return {label: round(value - before.get(label, 0)) for label, value in after.get(name, {}).items()}

    def _counters(self) -> dict[str, dict[str, float]]:
        """The wanted metrics, by name and then by the value of their one label."""
        found: dict[str, dict[str, float]] = {}
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=_TIMEOUT) as answer:
                text = answer.read().decode()
            for family in text_string_to_metric_families(text):
                if family.name in (HITS, MISSES, COMPRESSION):
                    for sample in family.samples:
                        if not sample.name.endswith("_created"):
                            label = next(iter(sample.labels.values()), "")
                            found.setdefault(family.name, {})[label] = sample.value
        return found

    def _get_json(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"{self._url}{path}", timeout=_TIMEOUT) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None
