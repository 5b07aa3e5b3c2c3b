"""The feeder's courtesy to creates has an end."""

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from reference_impl import feeder
from reference_impl.feeder import Feeder


class Frozen:
    """Arrivals of which a batch takes half a minute, since the host stands still meanwhile."""

    now = 0.0

    async def feed(self, most: int) -> list[datetime]:
        self.now += 30
        return [datetime(2020, 1, 1, tzinfo=UTC)] * most

    async def backlog(self, most: int) -> int:
        return 1_000


class Silent:
    def fed(self, ages: list[float], seconds: float) -> None:
        assert seconds == 30


def test_a_batch_during_which_the_host_stood_still_does_not_stop_feeding_for_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrivals: Any = Frozen()
    monkeypatch.setattr(feeder.time, "perf_counter", lambda: arrivals.now)
    metrics: Any = Silent()
    creates = itertools.count(100, 100)
    feeding = Feeder(arrivals, metrics, metrics, 50_000, lambda: next(creates), lambda: True)
    assert 0 < asyncio.run(feeding._step()) <= 2
