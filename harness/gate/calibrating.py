"""A machine's own rates: real blocks of a service against itself, and against itself made slower by known factors."""

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from harness.core.calibration import Arm
from harness.core.gate import Pair, Rules
from harness.core.scenario import Scenario
from harness.gate.measuring import SEEDS, Contender, Measuring
from harness.gate.services import Services
from harness.gate.sources import Say

ALIKE: Final = 1.0
FACTORS: Final = (ALIKE, 1.05, 1.1, 1.2, 1.5)
"""By which searches are slowed down."""
FAULT: Final = "slow_search"
ROUND: Final = 4
"""Numbers after which the services start anew. Gates are drawn anew by whole rounds, so there should be several."""


class Calibrating:
    """Measures base, and head under every factor, all in turns.

    Args:
        blocks: the load of each kind of block, by name.
        rules: of the gate whose rates are wanted.
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
        blocks: Mapping[str, Scenario],
        rules: Rules,
        services: Services,
        measuring: Measuring,
        dial: Path,
        seed: int,
        say: Say,
    ) -> None:
        self._blocks, self._rules, self._services, self._measuring = blocks, rules, services, measuring
        self._dial, self._say, self._seed = dial, say, seed
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
        """Base and all arms under every kind of block, in an order drawn anew for each kind."""
        contenders = {None: Contender("base")} | {
            arm.factor: Contender("head", lambda factor=arm.factor: turn(self._dial, factor))  # type: ignore[misc]
            for arm in self.arms
        }
        pairs = {arm.factor: Pair(number=number, round=round_, first={}, blocks=[]) for arm in self.arms}
        for scenario in self._blocks.values():
            names = self._order.sample(list(contenders), len(contenders))
            order = [contenders[name] for name in names]
            found = self._measuring.blocks(self._services, scenario, order, self._seed * SEEDS + number)
            by_name = dict(zip(names, found, strict=True))
            for factor, pair in pairs.items():
                pair.blocks += [by_name[None], by_name[factor]]
            self._services.rest()
        for arm in self.arms:
            pair = pairs[arm.factor]
            pair.take_values(self._rules.metrics)
            arm.pairs.append(pair)


def turn(dial: Path, factor: float) -> None:
    """Have the fault take this factor; the service reads the file anew within 50 ms."""
    partial = dial.with_suffix(".part")
    partial.write_text(f"{FAULT}={factor:g}\n")
    os.replace(partial, dial)
