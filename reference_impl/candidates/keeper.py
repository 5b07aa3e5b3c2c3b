"""Keeps the index of candidates true to the database: loads it, and follows what any process changes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice, takewhile
from typing import Final
from uuid import UUID

import structlog

from reference_impl.candidates.entries import entries_of
from reference_impl.candidates.index import CandidateIndex
from reference_impl.candidates.rows import CandidateRows
from reference_impl.errors import ApiError
from reference_impl.storage.records import NewMemory

_LOG = structlog.get_logger()

# Memories in doubt are ranked with every search, so that none is missed. With more of them the database is asked.
_DOUBTED_MAX: Final = 300
_PAUSE_SECONDS: Final = 0.05
_OVERDUE_SECONDS: Final = 1.0
_UNTRUSTED_SECONDS: Final = 0.1
_FAILED_SECONDS: Final = 1.0
# What nobody foresaw may well happen again, and each time everything is read.
_BROKEN_SECONDS: Final = 60.0
_PAGE: Final = 1_000
# From this many dead slots on, if they are more than the live ones, the index is loaded anew.
_DEAD_MIN: Final = 10_000
_FIRST: Final = UUID(int=0)


class IndexKeeper:
    """Loads the index behind the start of the service, and again whenever changes may have gone unheard.

    Args:
        rows: of the database.
        dimension: length of the embeddings.
        size_max: memories at most; with more there is no index, and 0 turns it off.
        trusted: whether the changes of all processes are heard.
    """

    def __init__(self, rows: CandidateRows, dimension: int, size_max: int, trusted: Callable[[], bool]) -> None:
        self._rows = rows
        self._dimension = dimension
        self._size_max = size_max
        self._trusted = trusted
        self._on = size_max > 0
        self._index: CandidateIndex | None = None
        self._arrived: list[NewMemory] = []
        # What this process has been heard to create and has yet to say so itself, and when that is overdue.
        self._announced: dict[UUID, float] = {}
        # By number of the last change: what changes again while it is looked up stays in doubt.
        self._doubted: dict[UUID, int] = {}
        self._changes = 0
        self._clears = 0
        self._wake = asyncio.Event()
        self._wake.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts loading."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends; there is no index from then on."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._turn_off()

    @property
    def size(self) -> int:
        """Memories in the index; 0 while there is none."""
        return 0 if self._index is None else len(self._index)

    @property
    def usable(self) -> bool:
        """Whether the index may be relied on for all but `doubted`."""
        return self._index is not None and len(self._doubted) <= _DOUBTED_MAX and self._trusted()

    def index(self) -> CandidateIndex | None:
        """The index, with all that this process has stored; None while it is not usable."""
        if not self.usable:
            return None
        self._take_in()
        return self._index

    @property
    def doubted(self) -> Collection[UUID]:
        """Memories that were changed and that the index has not looked up since."""
        return self._doubted.keys()

    def stored(self, memories: Sequence[NewMemory]) -> None:
        """This process has committed new memories. They are taken in together, for the next search or soon."""
        if self._index is None:
            self.changed(memory.id for memory in memories)
            return
        for memory in memories:
            self._announced.pop(memory.id, None)
        if not self._arrived:
            self._wake.set()
        self._arrived += memories

    def created(self, ids: Iterable[UUID], here: bool) -> None:
        """Some process may have committed these new memories.

        Args:
            ids: of the memories.
            here: whether it is this one. It says so itself, unless the answer to its commit is lost.
        """
        if not here or self._index is None:
            self.changed(ids)
        elif self._on:
            if not self._announced:
                self._wake.set()
            overdue = time.monotonic() + _OVERDUE_SECONDS
            self._announced.update(dict.fromkeys(ids, overdue))

    def changed(self, ids: Iterable[UUID]) -> None:
        """These memories were changed or deleted."""
        if not self._on:
            return
        self._changes += 1
        before = len(self._doubted)
        self._doubted.update(dict.fromkeys(ids, self._changes))
        if self._doubted and not before:
            self._wake.set()

    def clear(self) -> None:
        """Anything may have happened."""
        self._clears += 1
        self._index = None
        self._doubted.clear()
        self._arrived.clear()
        self._announced.clear()
        self._wake.set()

    async def _run(self) -> None:
        while self._on:
            await self._wake.wait()
            self._wake.clear()
            pause = _PAUSE_SECONDS
            try:
                if not self._trusted():
                    pause = _UNTRUSTED_SECONDS
                elif self._index is None:
                    await self._load()
                else:
                    self._take_in()
                    self._doubt_overdue()
                    await self._settle()
            except ApiError:  # the database is away
                pause = _FAILED_SECONDS
            except Exception:
                _LOG.exception("candidates_failed")
                self.clear()
                pause = _BROKEN_SECONDS
            if self._index is None or self._doubted or self._announced:
                self._wake.set()
            await asyncio.sleep(pause)

    async def _load(self) -> None:
        """Reads all memories. Who changes meanwhile is in doubt afterwards."""
        clears, after = self._clears, _FIRST
        index = CandidateIndex(self._dimension, room=2 * self._size_max)
        while entries := await self._rows.page(after, _PAGE):
            # In a thread: requests are answered meanwhile, from the database.
            await asyncio.to_thread(index.put, entries)
            after = entries[-1].id
            if len(index) > self._size_max:
                self._give_up()
                return
            if clears != self._clears:
                return
        if clears == self._clears:
            self._index = index

    def _take_in(self) -> None:
        """Takes in what this process has stored."""
        if self._index is not None and self._arrived:
            arrived, self._arrived = self._arrived, []
            # What is there already was looked up after another process had changed it.
            self._index.put(entries_of([memory for memory in arrived if memory.id not in self._index]))
            if len(self._index) > self._size_max:
                self._give_up()

    def _doubt_overdue(self) -> None:
        """Doubts what was announced and not confirmed; in the order of announcing."""
        now = time.monotonic()
        overdue = [*takewhile(lambda memory_id: self._announced[memory_id] < now, self._announced)]
        for memory_id in overdue:
            del self._announced[memory_id]
        index = self._index
        self.changed(memory_id for memory_id in overdue if index is None or memory_id not in index)

    async def _settle(self) -> None:
        """Looks up what is in doubt, a part of it at a time."""
        asked, index = dict(islice(self._doubted.items(), _PAGE)), self._index
        if not asked or index is None:
            return
        entries = await self._rows.some(list(asked))
        if index is not self._index:
            return
        index.put(entries)
        index.drop(asked.keys() - {entry.id for entry in entries})
        for memory_id, change in asked.items():
            if self._doubted[memory_id] == change:
                del self._doubted[memory_id]
        if len(index) > self._size_max:
            self._give_up()
        elif index.dead > max(_DEAD_MIN, len(index)):
            self.clear()

    def _give_up(self) -> None:
        _LOG.warning("too_many_candidates", candidates_max=self._size_max, next="raise it, or leave it to PostgreSQL")
        self._turn_off()

    def _turn_off(self) -> None:
        self._on = False
        self.clear()
