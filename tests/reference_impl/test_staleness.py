"""How old what the caches serve can be, whatever happens in whatever order; on a clock of its own."""

import math
import uuid
from collections import deque
from itertools import count
from random import Random

import pytest

from reference_impl.cache import MemoryCache
from reference_impl.caches import Caches
from reference_impl.candidates.keeper import IndexKeeper
from reference_impl.feed import TRUSTED_SECONDS
from reference_impl.models import Tier
from reference_impl.search_cache import SearchCache

MEMORIES = [uuid.UUID(int=number) for number in range(2)]
FINDINGS = [(), *zip(MEMORIES, strict=True)]
KEYS = [b"x", b"y"]
BOUND = 1.0


class OneOfMany:
    """A database that others change, and the caches of one process, which hears of that late or not at all.

    Whatever comes out of the caches must have been true at some time within the last `BOUND` seconds.
    """

    def __init__(self, seed):
        self.random = Random(seed)
        self.now = 1_000.0
        self.caches = Caches(
            MemoryCache(1, 1_000_000, 30.0, lambda: self.now),
            SearchCache(1, 1_000_000, 1.0, lambda: self.now),
            IndexKeeper(None, 1_536, 0, lambda: False),
        )
        self.versions = count(1)
        self.rows = {memory_id: next(self.versions) for memory_id in MEMORIES}
        self.found, self.ids = next(self.versions), ()  # by any search
        self.over = {}  # when a version ceased to be true
        self.unheard = deque()
        self.committed = self.heard = 0
        self.listening, self.heartbeat = False, None
        self.reads, self.searches = [], []
        self.served = self.served_late = 0

    def run(self, steps):
        rules = {
            self.wait: 10,
            self.hang: 2,
            self.commit: 6,
            self.hear: 4,
            self.send_heartbeat: 2,
            self.answer_heartbeat: 2,
            self.lose_connection: 1,
            self.connect: 3,
            self.read: 20,
            self.finish_read: 3,
            self.search: 20,
            self.finish_search: 3,
        }
        for rule in self.random.choices(list(rules), list(rules.values()), k=steps):
            rule()

    def wait(self):
        for _ in range(self.random.randint(1, 5)):
            self.now += 0.25
            self.answer_heartbeat()
            self.send_heartbeat()
            self.answer_heartbeat()

    def hang(self):
        self.now += self.random.choice([0.05, 0.3, 0.9])

    def commit(self):
        changed = self.random.choice([None, *MEMORIES])
        self.over[self.found] = self.now
        self.found, self.ids = next(self.versions), self.random.choice(FINDINGS)
        if changed is not None:
            self.over[self.rows[changed]] = self.now
            self.rows[changed] = next(self.versions)
        if self.listening:
            self.committed += 1
            self.unheard.append(changed)
        if self.random.random() < 0.3:
            self.tell(changed)

    def tell(self, changed):
        if changed is None:
            self.caches.created((), here=False)
        else:
            self.caches.changed([changed])

    def hear(self):
        if self.unheard:
            self.heard += 1
            self.tell(self.unheard.popleft())

    def send_heartbeat(self):
        if self.listening and self.heartbeat is None:
            self.heartbeat = (self.now, self.committed)

    def answer_heartbeat(self):
        if self.heartbeat is not None:
            sent, committed = self.heartbeat
            while self.heard < committed:
                self.hear()
            self.caches.extend(sent + TRUSTED_SECONDS)
            self.heartbeat = None

    def lose_connection(self):
        self.caches.extend(-math.inf)
        self.caches.clear()
        self.listening, self.heartbeat = False, None
        self.unheard.clear()
        self.heard = self.committed

    def connect(self):
        if not self.listening:
            self.listening = True
            self.caches.clear()
            self.send_heartbeat()

    def read(self):
        memory_id = self.random.choice(MEMORIES)
        entry = self.caches.memories.get(str(memory_id))
        if entry is not None:
            self.check(entry.head)
            return
        self.reads.append((memory_id, b"%d" % self.rows[memory_id], 0, self.caches.memories.token()))
        if self.random.random() < 0.7:
            self.finish_read()

    def finish_read(self):
        if self.reads:
            self.caches.memories.put(*self.reads.pop())

    def search(self):
        key = self.random.choice(KEYS)
        answer = self.caches.searches.get(key)
        if answer is not None:
            self.check(answer)
            return
        self.searches.append((key, b"%d" % self.found, self.ids, self.caches.searches.token(), Tier.WORKING))
        if self.random.random() < 0.7:
            self.finish_search()

    def finish_search(self):
        if self.searches:
            self.caches.searches.put(*self.searches.pop())

    def check(self, version):
        late = self.now - self.over.get(int(version), math.inf)
        assert late < BOUND
        self.served += 1
        self.served_late += late >= 0


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_nothing_served_is_older_than_the_bound(seed):
    process = OneOfMany(seed)
    process.run(40_000)
    assert process.served_late > 100, process.served
