"""Answers to searches kept in the process."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from reference_impl.invalidations import Invalidations
from reference_impl.models import Tier

# Guide, "Search result caching": s, by the tier that was asked for.
LIFETIMES: Final[dict[Tier | None, float]] = {Tier.WORKING: 60.0, Tier.WARM: 300.0, Tier.COLD: 1_800.0, None: 180.0}

# Bookkeeping of one entry and of one memory in it, roughly.
_OVERHEAD: Final = 600
_ID_OVERHEAD: Final = 400


class Token(NamedTuple):
    """A moment: how much had been created and changed by then, and when it was (monotonic clock, s)."""

    number: int
    moment: float


class _Entry(NamedTuple):
    answer: bytes
    ids: Sequence[UUID]
    made: Token
    deadline: float
    cost: int


class SearchCache:
    """Least recently used first out; bounded in entries, bytes and time.

    An answer goes as soon as a memory in it changes. A memory that is new or has changed may also belong into answers
    that it is not in: from then on those made before are served only until they are `lag` old.

    Access counters in an answer are those of the time when it was made. Nothing is served or taken from `valid_until`
    on; see `MemoryCache`.

    Args:
        size: answers at most; 0 turns the cache off.
        capacity: bytes at most.
        lag: seconds that an answer may be served for after something was created or changed.
        now: the monotonic clock, s.
    """

    def __init__(self, size: int, capacity: int, lag: float = 1.0, now: Callable[[], float] = time.monotonic) -> None:
        self.hits = 0
        self.misses = 0
        self.valid_until = -math.inf
        self._size = size
        self._capacity = capacity
        self._lag = lag
        self._now = now
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._keys: dict[UUID, set[bytes]] = {}
        self._bytes = 0
        self._invalidations = Invalidations()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def occupied(self) -> int:
        """Bytes that the entries occupy, roughly."""
        return self._bytes

    def token(self) -> Token:
        """What `put` wants to know of the time just before the database was searched."""
        return Token(self._invalidations.number, self._now())

    def get(self, key: bytes) -> bytes | None:
        """The answer to this request, if it is there and alive."""
        entry = self._entries.get(key)
        if entry is not None:
            if self._alive(entry):
                self.hits += 1
                self._entries.move_to_end(key)
                return entry.answer
            self._drop(key)
        self.misses += 1
        return None

    def put(
        self,
        key: bytes,
        answer: bytes,
        ids: Sequence[UUID],
        token: Token,
        tier: Tier | None,
        expires_in: float | None = None,
    ) -> None:
        """Keeps an answer, unless a memory in it changed meanwhile or it would take a large part of the room.

        Args:
            key: the whole request, in a form that two requests share only if their answers are the same.
            answer: what to give back.
            ids: of the memories in it, each once.
            token: from before the search.
            tier: that was asked for; None for all.
            expires_in: seconds until the first of the memories expires, if one does.
        """
        cost = len(key) + len(answer) + _OVERHEAD + _ID_OVERHEAD * len(ids)
        now = self._now()
        if self._size == 0 or cost > self._capacity // 20 or now >= self.valid_until:
            return
        if any(self._invalidations.since(token.number, memory_id) for memory_id in ids):
            return
        deadline = token.moment + LIFETIMES[tier]
        if expires_in is not None:
            deadline = min(deadline, now + expires_in)
        self._drop(key)
        self._entries[key] = _Entry(answer, ids, token, deadline, cost)
        self._bytes += cost
        for memory_id in ids:
            self._keys.setdefault(memory_id, set()).add(key)
        while len(self._entries) > self._size or self._bytes > self._capacity:
            self._drop(next(iter(self._entries)))

    def changed(self, ids: Iterable[UUID]) -> None:
        """Forgets the answers with these memories, and what is being searched with them in it."""
        for memory_id in ids:
            self._invalidations.note(memory_id)
            for key in tuple(self._keys.get(memory_id, ())):
                self._drop(key)

    def created(self) -> None:
        """There are new memories."""
        self._invalidations.note_new()

    def clear(self) -> None:
        """Forgets all answers, and all that is being searched."""
        self._invalidations.note_all()
        self._entries.clear()
        self._keys.clear()
        self._bytes = 0

    def _alive(self, entry: _Entry) -> bool:
        now = self._now()
        if now >= self.valid_until or now >= entry.deadline:
            return False
        return entry.made.number == self._invalidations.number or now - entry.made.moment < self._lag

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.cost
        for memory_id in entry.ids:
            keys = self._keys[memory_id]
            keys.discard(key)
            if not keys:
                del self._keys[memory_id]
