"""English sentences from the topics and the lexicon.

A memory's text is a first sentence, unique by construction, and elaborations drawn from a pool of its topic.
The first sentence holds a person, a verb phrase, an adjective and a thing; a seeded permutation numbers all
combinations, so that different positions give different first sentences and nothing has to be remembered.
Two texts can be equal only if their first sentences are: each ends at its only full stop, and its four slots
can be read back from it, as adjectives are single words and no verb phrase or thing occurs twice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from harness.corpus.lexicon import (
    ADJECTIVES,
    ELABORATIONS,
    FIRST_NAMES,
    KINDS,
    LAST_NAMES,
    OPENINGS,
    QUERIES,
)
from harness.corpus.permutation import Permutation
from harness.corpus.topics import THINGS_PER_TOPIC, TOPICS

Integers = npt.NDArray[np.int64]

PEOPLE: Final = tuple(f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES)
"""Twelve thousand people."""

KIND_NAMES: Final = tuple(KINDS)
_STANCES: Final = tuple(KINDS.values())
_STANCES_PER_KIND: Final = 8
_NOUN_PHRASES: Final = len(ADJECTIVES) * THINGS_PER_TOPIC

_WITH_PLACE: Final = 75
_WITH_OPENING: Final = 115
"""Target lengths, in characters, from which the first sentence says where, and in which context."""

_POOL: Final = 1_500
_POOL_STREAM: Final = 0x706F6F6C


class Prose:
    """Texts of one seed.

    Args:
        seed: Any non-negative integer.
    """

    def __init__(self, seed: int) -> None:
        self._leads = Permutation(len(PEOPLE), _STANCES_PER_KIND * _NOUN_PHRASES, seed)
        self.distinct = self._leads.size
        self._pools = [_pool(topic, seed) for topic in range(len(TOPICS))]
        self._sentences = [sentence for pool in self._pools for sentence in pool]
        self._lengths = np.array([len(sentence) for sentence in self._sentences])
        self._shortest = int(self._lengths.min()) + 1

    def contents(
        self,
        positions: Integers,
        topics: Integers,
        kinds: Integers,
        targets: Integers,
        rng: np.random.Generator,
    ) -> tuple[list[str], list[str]]:
        """Write the contents of many memories.

        Args:
            positions: Different numbers below ``distinct``; each is one first sentence. Shape ``(n,)``.
            topics: Positions in ``TOPICS``, of the same shape, as are the next two.
            kinds: Positions in ``KIND_NAMES``.
            targets: Lengths to come close to, in characters: the last sentence is kept if at least half of it
                fits, and the first always is.
            rng: Draws places, openings and elaborations.

        Returns:
            The texts, and the thing each is about.
        """
        count = positions.size
        people, rest = self._leads.pairs(positions)
        stances, nouns = rest // _NOUN_PHRASES, rest % _NOUN_PHRASES
        leads: list[str] = []
        things: list[str] = []
        slots = zip(
            people.tolist(),
            stances.tolist(),
            (nouns // THINGS_PER_TOPIC).tolist(),
            (nouns % THINGS_PER_TOPIC).tolist(),
            topics.tolist(),
            kinds.tolist(),
            targets.tolist(),
            rng.integers(0, 1 << 16, count).tolist(),
            rng.integers(0, len(OPENINGS), count).tolist(),
            strict=True,
        )
        for person, stance, adjective, number, topic, kind, target, where, opening in slots:
            subject = TOPICS[topic]
            thing = subject.things[number]
            lead = f"{PEOPLE[person]} {_STANCES[kind][stance]} the {ADJECTIVES[adjective]} {thing}"
            if target >= _WITH_PLACE:
                lead = f"{lead} {subject.places[where % len(subject.places)]}"
                if target >= _WITH_OPENING:
                    lead = f"{OPENINGS[opening]} {lead}"
            leads.append(lead + ".")
            things.append(thing)
        return self._elaborate(leads, topics, targets, rng), things

    def _elaborate(self, leads: list[str], topics: Integers, targets: Integers, rng: np.random.Generator) -> list[str]:
        """Follow each first sentence with sentences of its topic up to about the target length."""
        room = np.maximum(targets - np.fromiter(map(len, leads), np.int64, len(leads)), 0)
        offered = -(-room // self._shortest)
        owners = np.repeat(np.arange(len(leads)), offered)
        picks = rng.integers(0, _POOL, owners.size) + topics[owners] * _POOL
        lengths = self._lengths[picks] + 1
        ends = np.cumsum(lengths)
        firsts = np.cumsum(offered) - offered
        before = np.concatenate(([0], ends))[firsts]
        fits = ends - lengths / 2 - before[owners] <= room[owners]
        taken = np.bincount(owners[fits], minlength=len(leads))
        kept = list(map(self._sentences.__getitem__, picks[fits].tolist()))
        texts: list[str] = []
        position = 0
        for lead, number in zip(leads, taken.tolist(), strict=True):
            texts.append(" ".join((lead, *kept[position : position + number])) if number else lead)
            position += number
        return texts


class Queries:
    """Search texts about the people and things of the memories, all different.

    Args:
        seed: Any non-negative integer; another seed gives another order.
    """

    def __init__(self, seed: int) -> None:
        self._slots = Permutation(len(PEOPLE), len(QUERIES) * len(ADJECTIVES) * THINGS_PER_TOPIC * len(TOPICS), seed)
        self.distinct = self._slots.size

    def texts(self, positions: Integers) -> tuple[list[str], list[str]]:
        """The search texts of different positions below ``distinct``, and the name of each one's topic."""
        people, rest = self._slots.pairs(positions)
        texts: list[str] = []
        topics: list[str] = []
        for person, number in zip(people.tolist(), rest.tolist(), strict=True):
            phrase, thing = divmod(number, THINGS_PER_TOPIC)
            wording, topic = divmod(phrase, len(TOPICS))
            template, adjective = divmod(wording, len(ADJECTIVES))
            subject = TOPICS[topic]
            texts.append(
                QUERIES[template].format(
                    person=PEOPLE[person], adjective=ADJECTIVES[adjective], thing=subject.things[thing]
                )
            )
            topics.append(subject.name)
        return texts, topics


def _pool(topic: int, seed: int) -> list[str]:
    """Elaborations of one topic, ``_POOL`` of them, as varied as its phrases allow."""
    subject = TOPICS[topic]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_POOL_STREAM, topic))))
    columns = rng.integers(0, 1 << 20, (_POOL, 7)).tolist()
    return [
        ELABORATIONS[number % len(ELABORATIONS)].format(
            first=FIRST_NAMES[first % len(FIRST_NAMES)],
            other=FIRST_NAMES[other % len(FIRST_NAMES)],
            adjective=ADJECTIVES[adjective % len(ADJECTIVES)],
            thing=subject.things[thing % THINGS_PER_TOPIC],
            doing=subject.doings[doing % len(subject.doings)],
            place=subject.places[place % len(subject.places)],
            reason=subject.reasons[reason % len(subject.reasons)],
        )
        for number, (first, other, adjective, thing, doing, place, reason) in enumerate(columns)
    ]
