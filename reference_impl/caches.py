"""What a process keeps of the database and changes to memories concern, as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from reference_impl.cache import MemoryCache
from reference_impl.candidates.keeper import IndexKeeper
from reference_impl.search_cache import SearchCache
from reference_impl.storage.records import NewMemory


class Caches:
    """Tells all of it what happens to memories, in this process or another.

    Args:
        memories: single ones.
        searches: answers with many.
        candidates: the index of candidates, which is told by who keeps it.
    """

    def __init__(self, memories: MemoryCache, searches: SearchCache, candidates: IndexKeeper) -> None:
        self.memories = memories
        self.searches = searches
        self.candidates = candidates

    def changed(self, ids: Iterable[UUID]) -> None:
        """These memories were changed, moved, merged or deleted, and it is committed."""
        ids = tuple(ids)
        for memory_id in ids:
            self.memories.invalidate(memory_id)
        self.searches.changed(ids)
        self.candidates.changed(ids)

    def created(self, ids: Iterable[UUID], here: bool) -> None:
        """These new memories may have been committed, by this process or another."""
        self.searches.created()
        self.candidates.created(ids, here)

    def stored(self, memories: Sequence[NewMemory]) -> None:
        """This process has committed new memories."""
        if memories:
            self.searches.created()
            self.candidates.stored(memories)

    def clear(self) -> None:
        """Anything may have happened."""
        self.memories.clear()
        self.searches.clear()
        self.candidates.clear()

    def extend(self, valid_until: float) -> None:
        """What happens is known well enough to serve up to this moment of the monotonic clock, s."""
        self.memories.valid_until = self.searches.valid_until = valid_until
