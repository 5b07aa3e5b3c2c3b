"""A machine's own rates: real blocks of a service against itself, and against itself made slower by known factors."""

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from harness.core.gate import Block, Pair, Rules
from harness.core.scenario import Scenario
from harness.gate.measuring import SEEDS, Measuring
from harness.gate.services import Services
from harness.gate.sources import Say

ALIKE: Final = 1.0
FACTORS: Final = (ALIKE, 1.05, 1.1, 1.2, 1.5)
"""By which searches are slowed down."""


class Calibrating:
    """Measures base once and head under every factor, pair by pair.

    Args:
        blocks: the load of each kind of block, by name.
        rules: of the gate whose rates are wanted.
        services: base as it is, and head with a fault that `dial` sets.
        measuring: of the blocks.
        dial: the file that head reads its factor from.
        seed: of the order.
        say: told what is going on.
    """

    def __init__(
        self,
        blocks: dict[str, Scenario],
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
        self.pairs: dict[float, list[Pair]] = {factor: [] for factor in FACTORS}

    def run(self, pairs: int, measured: Callable[[int], None]) -> None:
        """Measure.

        Args:
            pairs: of each factor.
            measured: told after each how many there are.
        """
        for number in range(1, pairs + 1):
            each = self._rules.round_pairs
            if number % each == 1 or each == 1:
                self._begin(-(-number // each))
            self._pairs(number, -(-number // each))
            measured(number)

    def _begin(self, round_: int) -> None:
        self._say(f"round {round_}: both services start anew")
        self._turn(ALIKE)
        self._services.begin_round(self._measuring.toss())
        self._measuring.warm(self._services, round_)

    def _pairs(self, number: int, round_: int) -> None:
        """Base and all arms under every kind of block, in an order drawn anew for each kind."""
        base: list[Block] = []
        head: dict[float, list[Block]] = {factor: [] for factor in FACTORS}
        seed = self._seed * SEEDS + number
        for scenario in self._blocks.values():
            arms: Sequence[float | None] = self._order.sample([None, *FACTORS], len(FACTORS) + 1)
            for arm in arms:
                if arm is None:
                    base.append(self._measuring.block(self._services, "base", scenario, seed))
                else:
                    self._turn(arm)
                    head[arm].append(self._measuring.block(self._services, "head", scenario, seed))
        for factor, blocks in head.items():
            pair = Pair(number=number, round=round_, first={}, blocks=[*base, *blocks])
            pair.take_values(self._rules.metrics)
            self.pairs[factor].append(pair)

    def _turn(self, factor: float) -> None:
        partial = self._dial.with_suffix(".part")
        partial.write_text(f"slow_search={factor:g}\n")
        os.replace(partial, self._dial)
