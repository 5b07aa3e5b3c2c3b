"""A machine's own rates: real blocks of a service against itself, and against itself made slower by known factors."""

import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from harness.core.calibration import OPERATION, Arm
from harness.core.errors import LoadError
from harness.core.gate import Pair
from harness.gate.measuring import Measuring
from harness.gate.services import Services
from harness.gate.sources import Say

ALIKE: Final = 1.0
FACTORS: Final = (ALIKE, 1.05, 1.1, 1.2, 1.5)
"""By which searches are slowed down, as their callers see it."""
FAULT: Final = "slow_search"
NOTICED: Final = 0.1
"""Seconds after which the service has read its factor anew; it looks every 50 ms."""
ROUND: Final = 4
"""Numbers after which the services start anew. Gates are drawn anew by whole rounds, so there should be several."""


class Calibrating:
    """Measures pairs as a gate does, with head under every factor by turns.

    Args:
        services: base as it is, and head with a fault that `dial` sets.
        measuring: of the blocks.
        dial: the file that head reads its factor from.
        factors: to measure.
        block: whose searches tell how much of their time the service makes.
        seed: of the order.
        say: told what is going on.

    Attributes:
        arms: one for each factor, with the pairs so far, without their blocks.
        share: how many times as long as the service's own clock says a search takes for its caller, medians. The
            service is slowed down by so much more, since it does not lengthen what the way there and back takes.
    """

    def __init__(
        self,
        services: Services,
        measuring: Measuring,
        dial: Path,
        factors: Sequence[float],
        block: str,
        seed: int,
        say: Say,
    ) -> None:
        self._services, self._measuring, self._dial, self._say = services, measuring, dial, say
        self._order = random.Random(f"arms/{seed}")
        self._block = block
        self.arms = [Arm(factor, []) for factor in factors]
        self.share = 1.0

    def run(self, pairs: int, measured: Callable[[int], None]) -> None:
        """Measure.

        Args:
            pairs: of each factor.
            measured: told after each how many there are.

        Raises:
            StackError: a service does not come up.
            LoadError: it does not answer searches.
        """
        for number in range(1, pairs + 1):
            round_ = -(-number // ROUND)
            if number % ROUND == 1:
                self._begin(round_)
            self._take(number, round_)
            measured(number)

    def _begin(self, round_: int) -> None:
        self._say(f"round {round_}: both services start anew")
        turn(self._dial, ALIKE)
        self._services.begin_round(self._measuring.toss())
        self._measuring.warm(self._services, round_)
        if round_ == 1:
            self.share = share_of(self._measuring.pair(self._services, 0, round_), self._block)

    def _take(self, number: int, round_: int) -> None:
        """A pair of every arm, in an order drawn anew, each with requests of its own: caches know none of them."""
        for arm in self._order.sample(self.arms, len(self.arms)):
            turn(self._dial, 1 + (arm.factor - 1) * self.share)
            time.sleep(NOTICED)
            pair = self._measuring.pair(self._services, number * len(FACTORS) + FACTORS.index(arm.factor), round_)
            pair.number = number
            arm.pairs.append(pair)


def share_of(pair: Pair, block: str) -> float:
    """How many times as long a search takes for its caller as for the service, by base's block of a pair."""
    found = pair.block("base", block)
    clocks = [found.histogram(OPERATION, clock).percentile(50) for clock in ("response", "server")] if found else []
    match clocks:
        case [int() as response, int() as server] if server:
            return response / server
    raise LoadError("no searches were answered with their time", hint="see the service's log")


def turn(dial: Path, factor: float) -> None:
    """Have the fault take this factor; the service reads the file anew within 50 ms."""
    partial = dial.with_suffix(".part")
    partial.write_text(f"{FAULT}={factor:g}\n")
    os.replace(partial, dial)
