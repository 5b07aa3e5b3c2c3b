"""Which memories changed lately, so that nothing read before a change is kept after it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final
from uuid import UUID

_REMEMBERED: Final = 10_000


class Invalidations:
    """Numbers invalidations in their order.

    Whoever reads from the database with a cache in mind notes `number` before, and asks `since` after. Only so many
    memories are remembered; of what was forgotten only the highest number is, and an answer may then be overcautious.

    Args:
        remembered: memories at most.
    """

    __slots__ = ("_forgotten", "_latest", "_remembered", "number")

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self.number = 0
        self._remembered = remembered
        self._latest: OrderedDict[UUID, int] = OrderedDict()
        self._forgotten = 0

    def note(self, memory_id: UUID) -> None:
        """One memory is not what it was."""
        self.number += 1
        self._latest[memory_id] = self.number
        self._latest.move_to_end(memory_id)
        if len(self._latest) > self._remembered:
            _, self._forgotten = self._latest.popitem(last=False)

    def note_new(self) -> None:
        """There are memories that were not there."""
        self.number += 1

    def note_all(self) -> None:
        """Any memory may not be what it was."""
        self.number += 1
        self._forgotten = self.number
        self._latest.clear()

    def since(self, number: int, memory_id: UUID) -> bool:
        """Whether this memory was, or may have been, invalidated after `number` was noted."""
        return number < self._forgotten or self._latest.get(memory_id, 0) > number
