"""The caches that changes to memories concern, as one."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from reference_impl.cache import MemoryCache
from reference_impl.search_cache import SearchCache


class Caches:
    """Tells both caches what happens to memories, in this process or another.

    Args:
        memories: single ones.
        searches: answers with many.
    """

    def __init__(self, memories: MemoryCache, searches: SearchCache) -> None:
        self.memories = memories
        self.searches = searches

    def changed(self, ids: Iterable[UUID]) -> None:
        """These memories were changed, moved, merged or deleted, and it is committed."""
        ids = tuple(ids)
        for memory_id in ids:
            self.memories.invalidate(memory_id)
        self.searches.changed(ids)

    def created(self) -> None:
        """New memories were committed."""
        self.searches.created()

    def clear(self) -> None:
        """Anything may have happened."""
        self.memories.clear()
        self.searches.clear()

    def extend(self, valid_until: float) -> None:
        """What happens is known well enough to serve up to this moment of the monotonic clock, s."""
        self.memories.valid_until = self.searches.valid_until = valid_until
