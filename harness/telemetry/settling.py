"""Waiting until a service has done what it left for later while memories were loaded."""

import contextlib
import http.client
import time
import urllib.request
from collections.abc import Callable
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from harness.core.secrets import authorization
from harness.telemetry.service import fetch

BACKLOG: Final = "memory_arrivals"
REVIEW: Final = "/api/v1/tiers/migrate"
PATIENCE: Final = 300.0
"""Seconds at most until a backlog is gone; one that stays is measured with, and said."""
_PERIOD: Final = 0.5
_BREATHER: Final = 10.0
_GLANCE: Final = 0.05


def settle(url: str, step: Callable[[str], None], update: Callable[[str], None]) -> None:
    """Have the tiers reviewed once, and wait until the search indexes hold what was loaded.

    Else the first phases would share the machine with work that belongs to none of them. A service that knows
    nothing of either is ready at once.

    Args:
        url: the service's root.
        step: told what has come to an end.
        update: told how far it is.
    """
    request = urllib.request.Request(url + REVIEW, data=b"", headers=authorization(), method="POST")
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    began = time.monotonic()
    waited = False
    time.sleep(_PERIOD)  # a service that counts now and then may not have seen the last batch
    while left := backlog(url):
        if time.monotonic() - began > PATIENCE:
            step(f"{left:,.0f} memories are still not indexed after {PATIENCE:g} s; measuring all the same")
            return
        update(f"waiting for the search indexes: {left:,.0f} memories to go")
        waited = True
        time.sleep(_PERIOD)
    if waited:
        step(f"the search indexes hold all memories, {time.monotonic() - began:.1f} s after they were loaded")


def idle(url: str) -> None:
    """Wait until a service has indexed what it took, for a few seconds at most; one that does not tell is idle."""
    until = time.monotonic() + _BREATHER
    while backlog(url) and time.monotonic() < until:
        time.sleep(_GLANCE)


def backlog(url: str) -> float | None:
    """Memories that a service has taken and not indexed yet; None if it does not say."""
    data = fetch(f"{url}/metrics")
    with contextlib.suppress(ValueError):
        for family in text_string_to_metric_families((data or b"").decode()):
            if family.name == BACKLOG:
                return sum(sample.value for sample in family.samples)
    return None
