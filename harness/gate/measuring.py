"""A pair of blocks: base and head under the same load, one after the other, in an order that a coin decides."""

import math
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.core.errors import LoadError
from harness.core.gate import SIDES, Block, Metric, Pair, Side
from harness.core.record import ScenarioResult
from harness.core.scenario import ClosedArrivals, Scenario
from harness.corpus import Dataset
from harness.corpus.tapes import write_tapes
from harness.gate.services import Services
from harness.judge import doubt
from harness.load.driver import LoadSeries
from harness.load.job import LoadJob
from harness.load.result import result_of
from harness.stack.ledger import Ledger
from harness.telemetry.host import StealMeter

CLOCKS: Final = ("response", "service", "server")
_ROOM: Final = 3
"""Times as many requests as such a block ever used are enough for the next."""
WARM: Final = 1.0
"""Seconds of each load that a service gets, uncounted, when it has just started."""
SEEDS: Final = 10_000
"""Pairs of two gates whose seeds are neighbours have different requests."""


class Measuring:
    """Measures pairs.

    Args:
        blocks: the load of each kind of block, by name.
        metrics: to take from the pairs.
        series: the generator.
        ledger: of the gate.
        seed: of everything random.
    """

    def __init__(
        self,
        blocks: Mapping[str, Scenario],
        metrics: tuple[Metric, ...],
        series: LoadSeries,
        ledger: Ledger,
        seed: int,
    ) -> None:
        self._blocks, self._metrics, self._series = blocks, metrics, series
        self._ledger, self._seed = ledger, seed
        self._coin = random.Random(f"order/{seed}")
        self._fastest: dict[tuple[str, str], float] = {}

    def toss(self) -> Side:
        """Which side comes first."""
        return self._coin.choice(SIDES)

    def warm(self, services: Services, round_: int) -> None:
        """A block of each kind for both, which counts for nothing: they have just started."""
        for scenario in self._blocks.values():
            short = scenario.under(duration=min(WARM, scenario.phases.measure))
            for side in SIDES:
                self.block(services, side, short, self._seed * SEEDS + SEEDS - round_)
        services.rest()

    def pair(self, services: Services, number: int, round_: int) -> Pair:
        """One pair: for each kind of block, both sides close together."""
        pair = Pair(number=number, round=round_, first={}, blocks=[])
        for name, scenario in self._blocks.items():
            first = pair.first[name] = self.toss()
            for side in (first, *(one for one in SIDES if one != first)):
                pair.blocks.append(self.block(services, side, scenario, self._seed * SEEDS + number))
        services.rest()
        pair.take_values(self._metrics)
        return pair

    def block(self, services: Services, side: Side, scenario: Scenario, seed: int) -> Block:
        """One side under one load. Both sides get the same requests at the same times."""
        folder = self._ledger.folder(f"{scenario.name}-{side}")
        tapes, hashes = self._tapes(scenario, services.dataset(side), seed, folder)
        job = LoadJob(url=services.url(side), scenario=scenario, seed=seed, tapes=tapes)
        with services.alone(side):
            meter, before = StealMeter(), services.cpu(side)
            try:
                result = result_of(job, hashes, self._series.run(job, folder))
            except LoadError as error:
                result = result_of(job, hashes, None, f"{error}" + (f": {error.hint}" if error.hint else ""))
            after = services.cpu(side)
            result.generator.steal = meter.share()
        shutil.rmtree(folder, ignore_errors=True)
        seconds = scenario.phases.longest_warmup + scenario.phases.measure
        for log in result.operations:
            sent = log.tally.sent + (result.warmup.dropped if result.warmup else 0)
            key = scenario.name, log.name
            self._fastest[key] = max(sent / seconds, self._fastest.get(key, 0.0))
        used = after - before if after is not None and before is not None else None
        return block_of(side, result, used)

    def _tapes(
        self, scenario: Scenario, dataset: Dataset, seed: int, folder: Path
    ) -> tuple[dict[str, str], dict[str, str]]:
        most: dict[str, int] = {}
        if isinstance(scenario.arrivals, ClosedArrivals):
            seconds = scenario.phases.longest_warmup + scenario.phases.measure
            most = {
                operation: math.ceil(_ROOM * rate * seconds)
                for (block, operation), rate in self._fastest.items()
                if block == scenario.name
            }
        return write_tapes(scenario, dataset, seed, folder, most=most)


def block_of(side: Side, result: ScenarioResult, service_cpu: float | None) -> Block:
    """What a scenario's result means as a block, with the doubts that spoil it.

    A generator that lagged does not: where that made the figures, both sides' lag shows it, and the verdict looks.
    """
    doubts = [one.reason for one in doubt.of_scenario(result)]
    doubts += [one.reason for log in result.operations for one in doubt.of_counts(result, log)]
    seconds = result.seconds
    return Block(
        side=side,
        scenario=result.name,
        seconds=seconds,
        tallies={log.name: log.tally for log in result.operations},
        histograms={
            log.name: {
                clock: histogram.encode() for clock in CLOCKS if (histogram := result.histogram(log.name, clock)).count
            }
            for log in result.operations
        },
        rates={log.name: log.tally.ok / seconds for log in result.operations if seconds},
        errors={log.name: log.errors for log in result.operations if log.errors},
        steal=result.generator.steal,
        service_cpu=service_cpu,
        drain=result.scenario.phases.drain,
        doubts=list(dict.fromkeys(doubts)),
    )
