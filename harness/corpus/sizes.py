"""How long the contents of memories are."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from harness.corpus.errors import CorpusError


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """A named distribution of content lengths: log-normal, clipped at both ends.

    Message and document lengths are close to log-normal; the two parameters are its median and the standard
    deviation of the logarithm, and clipping leaves the median as it is.

    Attributes:
        name: The name it is asked for by.
        median: Median length, characters.
        sigma: Standard deviation of the natural logarithm of the length.
        shortest: Lower clip, characters.
        longest: Upper clip, characters.
    """

    name: str
    median: int
    sigma: float
    shortest: int
    longest: int

    def draw(self, size: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw target lengths in characters; shape ``(size,)``."""
        lengths = np.exp(rng.normal(math.log(self.median), self.sigma, size))
        return np.clip(np.rint(lengths), self.shortest, self.longest).astype(np.int64)


SIZES: dict[str, Sizes] = {
    sizes.name: sizes
    for sizes in (
        # Dialogue turns of LoCoMo (Maharana et al., ACL 2024): median 107, sigma of the logarithm 0.61.
        Sizes(name="chat", median=110, sigma=0.6, shortest=30, longest=1_000),
        # A paragraph or two: what an agent writes down after a conversation.
        Sizes(name="notes", median=450, sigma=0.7, shortest=60, longest=6_000),
        # A page: summaries, tickets, minutes.
        Sizes(name="documents", median=2_000, sigma=0.8, shortest=200, longest=32_000),
    )
}
"""The named distributions: chat is measured, notes and documents are assumptions, stated to be doubted."""


def sizes_named(name: str) -> Sizes:
    """The distribution of that name.

    Raises:
        CorpusError: There is none; the message lists those there are.
    """
    try:
        return SIZES[name]
    except KeyError:
        raise CorpusError(f"there are no sizes named {name!r}", hint=f"choose one of {', '.join(SIZES)}") from None
