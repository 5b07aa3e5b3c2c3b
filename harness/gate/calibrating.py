"""A machine's own rates: real blocks of a service against itself, and against itself made slower by known factors."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.core.calibration import Arm
from harness.gate.measuring import Measuring
from harness.gate.services import Services
from harness.gate.sources import Say

ALIKE: Final = 1.0
FACTORS: Final = (ALIKE, 1.05, 1.1, 1.2, 1.5)
"""By which searches are slowed down."""
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
        seed: of the order.
        say: told what is going on.

    Attributes:
        arms: one for each factor, with the pairs so far, without their blocks.
    """

    def __init__(
        self,
        services: Services,
        measuring: Measuring,
        dial: Path,
        seed: int,
        say: Say,
    ) -> None:
        self._services, self._measuring, self._dial, self._say = services, measuring, dial, say
        self._order = random.Random(f"arms/{seed}")
        self.arms = [Arm(factor, []) for factor in FACTORS]

    def run(self, pairs: int, measured: Callable[[int], None]) -> None:
        """Measure.

        Args:
            pairs: of each factor.
            measured: told after each how many there are.

        Raises:
            StackError: a service does not come up.
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

    def _take(self, number: int, round_: int) -> None:
        """A pair of every arm, in an order drawn anew, each with requests of its own: caches know none of them."""
        for arm in self._order.sample(self.arms, len(self.arms)):
            turn(self._dial, arm.factor)
            time.sleep(NOTICED)
            pair = self._measuring.pair(self._services, number * len(FACTORS) + FACTORS.index(arm.factor), round_)
            pair.number = number
            arm.pairs.append(pair)


def turn(dial: Path, factor: float) -> None:
    """Have the fault take this factor; the service reads the file anew within 50 ms."""
    partial = dial.with_suffix(".part")
    partial.write_text(f"{FAULT}={factor:g}\n")
    os.replace(partial, dial)
