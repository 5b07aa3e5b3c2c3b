"""Identifiers that sort by time (UUID version 7): new rows land on the right edge of the primary key."""

from __future__ import annotations

import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """A UUID: 48 bits of Unix milliseconds, then 74 random bits around version and variant."""
    millis = time.time_ns() // 1_000_000
    noise = secrets.randbits(74)
    return UUID(int=millis << 80 | 7 << 76 | (noise >> 62) << 64 | 2 << 62 | noise & (1 << 62) - 1)
