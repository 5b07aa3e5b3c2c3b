"""Memories kept in the process, encoded but for their access counters."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from reference_impl.invalidations import Invalidations

# Bookkeeping of one entry, roughly: the dictionary's slot, the entry and its numbers.
_OVERHEAD: Final = 500


class Entry:
    """A cached memory.

    `head` is its JSON up to the counters, without the closing brace. `access_count` is the number of reads when it
    was cached and those that passed here since; what other processes have counted meanwhile is missing until the
    entry's lifetime ends. `deadline` is on the monotonic clock, s.
    """

    __slots__ = ("access_count", "deadline", "head", "memory_id")

    def __init__(self, memory_id: UUID, head: bytes, access_count: int, deadline: float) -> None:
        self.memory_id = memory_id
        self.head = head
        self.access_count = access_count
        self.deadline = deadline


class MemoryCache:
    """Least recently used first out; bounded in entries, bytes and time.

    Entries are known by the text of their ids, in canonical form: a path has it, and to make a UUID of it and look that
    up takes longer than all the rest.

    It serves and takes nothing from `valid_until` on (monotonic clock, s). Whoever hears of all changes moves that
    forward; at first it lies in the past.

    Args:
        size: entries at most; 0 turns the cache off.
        capacity: bytes at most.
        ttl: seconds that an entry lives.
        now: the monotonic clock, s.
    """

    def __init__(self, size: int, capacity: int, ttl: float, now: Callable[[], float] = time.monotonic) -> None:
        self.hits = 0
        self.misses = 0
        self.valid_until = -math.inf
        self._size = size
        self._capacity = capacity
        self._ttl = ttl
        self._now = now
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0
        self._invalidations = Invalidations()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, memory_id: UUID) -> bool:
        return str(memory_id) in self._entries

    @property
    def occupied(self) -> int:
        """Bytes that the entries occupy, roughly."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether one more entry would drive out another, as far as their number goes."""
        return len(self._entries) >= self._size

    def token(self) -> int:
        """What `put` wants to know of the time just before the memory was read from, or written to, the database."""
        return self._invalidations.number

    def get(self, text: str) -> Entry | None:
        """The entry of this id, if it is there and alive."""
        entry = self._entries.get(text)
        if entry is not None:
            if entry.deadline > self._now() < self.valid_until:
                self.hits += 1
                self._entries.move_to_end(text)
                return entry
            # Even one that lives is of no use any more: the read that follows would be missing in its count.
            self._drop(text)
        self.misses += 1
        return None

    def put(self, memory_id: UUID, head: bytes, access_count: int, token: int, expires_in: float | None = None) -> None:
        """Keeps a memory, unless it was invalidated meanwhile or would take a large part of the room.

        Args:
            memory_id: its id.
            head: see `Entry`.
            access_count: all reads so far.
            token: from before the read.
            expires_in: seconds until the memory itself expires, if it does.
        """
        cost = len(head) + _OVERHEAD
        now = self._now()
        if self._size == 0 or cost > self._capacity // 100 or now >= self.valid_until:
            return
        if self._invalidations.since(token, memory_id):
            return
        text = str(memory_id)
        self._drop(text)
        lifetime = self._ttl if expires_in is None else min(self._ttl, expires_in)
        self._entries[text] = Entry(memory_id, head, access_count, now + lifetime)
        self._bytes += cost
        while len(self._entries) > self._size or self._bytes > self._capacity:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= len(oldest.head) + _OVERHEAD

    def invalidate(self, memory_id: UUID) -> None:
        """Forgets a memory, and what is being read of it; to be called once a change is committed."""
        self._invalidations.note(memory_id)
        self._drop(str(memory_id))

    def clear(self) -> None:
        """Forgets all memories, and all that is being read."""
        self._invalidations.note_all()
        self._entries.clear()
        self._bytes = 0

    def _drop(self, text: str) -> None:
        entry = self._entries.pop(text, None)
        if entry is not None:
            self._bytes -= len(entry.head) + _OVERHEAD


def seconds_until(moment: datetime | None, now: datetime) -> float | None:
    """From `now` to `moment`; None for never."""
    return None if moment is None else (moment - now).total_seconds()
