"""A pair of blocks: base and head under the same load, in short turns, the first of them by the toss of a coin."""

import math
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.core.errors import LoadError
from harness.core.gate import SIDES, Block, Pair, Side, other
from harness.core.rules import Rules
from harness.core.scenario import ClosedArrivals, Scenario
from harness.corpus import Dataset
from harness.corpus.tapes import write_tapes
from harness.gate.services import Services
from harness.judge import doubt
from harness.load.driver import LoadSeries
from harness.load.job import LoadJob, LoadReport
from harness.load.result import in_turns, result_of
from harness.stack.ledger import Ledger
from harness.telemetry.host import StealMeter

CLOCKS: Final = ("response", "service", "server")
_ROOM: Final = 3
"""Times as many requests as such a block ever used are enough for the next."""
WARM: Final = 0.4
"""Seconds of each load that a service gets, uncounted, when it has just started."""
SEEDS: Final = 10_000
"""Pairs of two gates whose seeds are neighbours have different requests."""
_TURNS: Final = 1_000
"""Likewise the turns of two blocks."""
_DELAY: Final = 0.02
"""Seconds are enough to begin in, where there is one worker in the conductor's own process."""


class Measuring:
    """Measures pairs.

    Args:
        blocks: the load of each kind of block, by name.
        rules: with the metrics to take from the pairs.
        series: the generator.
        ledger: of the gate.
        seed: of everything random.
    """

    def __init__(
        self,
        blocks: Mapping[str, Scenario],
        rules: Rules,
        series: LoadSeries,
        ledger: Ledger,
        seed: int,
    ) -> None:
        self._blocks, self._rules, self._series = blocks, rules, series
        self._ledger, self._seed = ledger, seed
        self._coin = random.Random(f"order/{seed}")
        self._fastest: dict[tuple[str, str], float] = {}

    def toss(self) -> Side:
        """Which side comes first."""
        return self._coin.choice(SIDES)

    def warm(self, services: Services, round_: int) -> None:
        """A turn of each kind for both, which counts for nothing: they have just started."""
        for scenario in self._blocks.values():
            short = scenario.under(duration=min(WARM, scenario.phases.measure))
            for side in SIDES:
                self._turn(services, side, short, self._seed * SEEDS + SEEDS - round_)
        services.rest()

    def pair(self, services: Services, number: int, round_: int) -> Pair:
        """One pair: for each kind of block, both sides in turns."""
        pair = Pair(number=number, round=round_, first={}, blocks=[])
        for name, scenario in self._blocks.items():
            first = pair.first[name] = self.toss()
            pair.blocks += self._both(services, scenario, first, self._seed * SEEDS + number)
        services.rest()
        pair.take_values(self._rules.metrics)
        return pair

    def _both(self, services: Services, scenario: Scenario, first: Side, seed: int) -> list[Block]:
        """A block of each side under one load, with the same requests at the same times.

        They take turns, the next time in the reverse order: what a machine does within a few seconds meets both alike.
        """
        order = (first, other(first))
        turns: dict[Side, list[_Turn]] = {side: [] for side in order}
        count = self._rules.turns(scenario.phases.measure)
        part = scenario.under(duration=scenario.phases.measure / count)
        for number in range(count):
            for side in order if number % 2 == 0 else reversed(order):
                turns[side].append(self._turn(services, side, part, seed * _TURNS + number))
        return [block_of(side, scenario, seed, taken) for side, taken in turns.items()]

    def _turn(self, services: Services, side: Side, scenario: Scenario, seed: int) -> "_Turn":
        folder = self._ledger.folder(f"{scenario.name}-{side}")
        tapes = self._tapes(scenario, services.dataset(side), seed, folder)
        job = LoadJob(url=services.url(side), scenario=scenario, seed=seed, tapes=tapes, delay=_DELAY)
        turn = _Turn()
        with services.alone(side):
            meter, before = StealMeter(), services.cpu(side)
            try:
                turn.report = self._series.run(job, folder)
            except LoadError as error:
                turn.failure = f"{error}" + (f": {error.hint}" if error.hint else "")
            after = services.cpu(side)
            turn.steal = meter.share()
        shutil.rmtree(folder, ignore_errors=True)
        if after is not None and before is not None:
            turn.service_cpu = after - before
        if turn.report is not None:
            seconds = scenario.phases.longest_warmup + scenario.phases.measure
            for log in turn.report.operations:
                rate = (log.tally.sent + turn.report.warmup_requests) / seconds
                key = scenario.name, log.name
                self._fastest[key] = max(rate, self._fastest.get(key, 0.0))
        return turn

    def _tapes(self, scenario: Scenario, dataset: Dataset, seed: int, folder: Path) -> dict[str, str]:
        most: dict[str, int] = {}
        if isinstance(scenario.arrivals, ClosedArrivals):
            seconds = scenario.phases.longest_warmup + scenario.phases.measure
            most = {
                operation: math.ceil(_ROOM * rate * seconds)
                for (block, operation), rate in self._fastest.items()
                if block == scenario.name
            }
        return write_tapes(scenario, dataset, seed, folder, most=most)[0]


@dataclass
class _Turn:
    """One of a side's turns in a block.

    Attributes:
        report: None where it failed.
        failure: how; empty when not.
        steal: share of CPU time that the hypervisor took; None when unknown.
        service_cpu: seconds that the service used; None when unknown.
    """

    report: LoadReport | None = None
    failure: str = ""
    steal: float | None = None
    service_cpu: float | None = None

    @property
    def failed(self) -> str:
        """How it failed, by the driver's word or the load process's; empty when it did not."""
        return self.failure or (self.report.problem if self.report else "")


def block_of(side: Side, scenario: Scenario, seed: int, turns: Sequence[_Turn]) -> Block:
    """What a side's turns mean as one block, with the doubts that spoil it.

    A generator that lagged does not: where that made the figures, both sides' lag shows it, and the verdict looks.
    """
    reports = [turn.report for turn in turns if turn.report is not None and turn.report.reported]
    failure = next((failure for turn in turns if (failure := turn.failed)), "")
    job = LoadJob(url="", scenario=scenario, seed=seed, tapes={})
    result = result_of(job, {}, in_turns(reports) if reports else None, failure)
    steal, used = [turn.steal for turn in turns], [turn.service_cpu for turn in turns]
    result.generator.steal = None if None in steal else sum(filter(None, steal)) / len(steal)
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
        service_cpu=None if None in used else sum(filter(None, used)),
        drain=result.scenario.phases.drain,
        doubts=list(dict.fromkeys(doubts)),
    )
