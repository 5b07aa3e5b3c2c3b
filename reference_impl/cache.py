"""Memories kept in the process, encoded but for their access counters."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import datetime
from typing import Final
from uuid import UUID

# Bookkeeping of one entry, roughly: the dictionary's slot, the entry and its numbers.
_OVERHEAD: Final = 500


class Entry:
    """A cached memory.

    `head` is its JSON up to the counters, without the closing brace. `access_count` is the true number of
    reads: with one process every read passes here, and is added. `deadline` is on the monotonic clock, s.
    """

    __slots__ = ("access_count", "deadline", "head")

    def __init__(self, head: bytes, access_count: int, deadline: float) -> None:
        self.head = head
        self.access_count = access_count
        self.deadline = deadline


class MemoryCache:
    """Least recently used first out; bounded in entries, bytes and time.

    Safe only in a service of one process, as others do not hear of invalidations; there it is off.

    Args:
        size: entries at most; 0 turns the cache off.
        capacity: bytes at most.
        ttl: seconds that an entry lives.
    """

    def __init__(self, size: int, capacity: int, ttl: float) -> None:
        self.hits = 0
        self.misses = 0
        self._size = size
        self._capacity = capacity
        self._ttl = ttl
        self._entries: OrderedDict[UUID, Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, memory_id: UUID) -> bool:
        return memory_id in self._entries

    @property
    def occupied(self) -> int:
        """Bytes that the entries occupy, roughly."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether one more entry would drive out another, as far as their number goes."""
        return len(self._entries) >= self._size

    def get(self, memory_id: UUID) -> Entry | None:
        """The entry, if it is there and alive."""
        entry = self._entries.get(memory_id)
        if entry is not None and entry.deadline > time.monotonic():
            self.hits += 1
            self._entries.move_to_end(memory_id)
            return entry
        self.misses += 1
        if entry is not None:
            self.invalidate(memory_id)
        return None

    def put(self, memory_id: UUID, head: bytes, access_count: int, expires_in: float | None = None) -> None:
        """Keeps a memory; one that would take a large part of the room is left out.

        Args:
            memory_id: its id.
            head: see `Entry`.
            access_count: all reads so far.
            expires_in: seconds until the memory itself expires, if it does.
        """
        cost = len(head) + _OVERHEAD
        if self._size == 0 or cost > self._capacity // 100:
            return
        self.invalidate(memory_id)
        lifetime = self._ttl if expires_in is None else min(self._ttl, expires_in)
        self._entries[memory_id] = Entry(head, access_count, time.monotonic() + lifetime)
        self._bytes += cost
        while len(self._entries) > self._size or self._bytes > self._capacity:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= len(oldest.head) + _OVERHEAD

    def invalidate(self, memory_id: UUID) -> None:
        """Forgets a memory; to be called by whatever changes it."""
        entry = self._entries.pop(memory_id, None)
        if entry is not None:
            self._bytes -= len(entry.head) + _OVERHEAD


def seconds_until(moment: datetime | None, now: datetime) -> float | None:
    """From `now` to `moment`; None for never."""
    return None if moment is None else (moment - now).total_seconds()
