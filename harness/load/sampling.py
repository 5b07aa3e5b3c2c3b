"""A sample of the answers that come in under load, kept whole so that they can be checked afterwards."""

import math
import random
from typing import Final

from msgspec import Struct

SAMPLES: Final = 60
"""Answers kept of one operation, over all load processes: some seconds of exact searches afterwards."""


class Answered(Struct, frozen=True):
    """One request and its answer.

    Attributes:
        operation: whose request it was.
        path: that it went to.
        body: of the request.
        answer: the body that came back.
        sent_at: when it was sent, seconds since 1970 by this host's clock.
    """

    operation: str
    path: str
    body: bytes
    answer: bytes
    sent_at: float


class Reservoir:
    """A uniform sample of a stream whose length nobody knows beforehand.

    Algorithm L (Li, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))", ACM TOMS 20(4), 1994): it
    draws how many items to pass over, so that one which is not kept costs a single comparison.

    Args:
        size: items kept at most.
        seed: the same seed keeps the same places of the stream.

    Attributes:
        kept: the sample so far, in no order.
    """

    def __init__(self, size: int, seed: int | str) -> None:
        self.kept: list[Answered] = []
        self._size = size
        self._random = random.Random(seed)
        self._weight = 1.0
        self._passed_over = 0

    def wants_next(self) -> bool:
        """Whether the item that is next in the stream is to be kept; every item must be asked for, once."""
        if self._passed_over:
            self._passed_over -= 1
            return False
        return True

    def keep(self, item: Answered) -> None:
        """Keep the item that was wanted."""
        if len(self.kept) < self._size:
            self.kept.append(item)
        else:
            self.kept[self._random.randrange(self._size)] = item
        if len(self.kept) == self._size:
            # -ln of a uniform number is exponential.
            self._weight *= math.exp(-self._random.expovariate(1.0) / self._size)
            self._passed_over = int(self._random.expovariate(1.0) / -math.log1p(-self._weight))
