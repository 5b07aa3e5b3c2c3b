"""A calibration as a command: from its options to its folder."""

import shlex
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from harness.cli.display import Display
from harness.cli.gating import DATA_SEED
from harness.cli.interrupt import Interrupts
from harness.core import calibration as records
from harness.core.calibration import OPERATION, Arm, CalibrationRecord
from harness.core.errors import MembenchError, UsageError
from harness.core.gate import SIDES, GateVerdict, Pair
from harness.core.gate import load as load_gate
from harness.core.rules import Rules
from harness.core.scenario import Scenario
from harness.corpus import GeneratedCorpus
from harness.gate.calibrating import ALIKE, FACTORS, FAULT, Calibrating
from harness.gate.measuring import Measuring
from harness.gate.services import Cloned
from harness.gate.sources import Command
from harness.judge.calibration import completed, resampled, rounds_of
from harness.load.driver import LoadSeries
from harness.report.calibration import plot, text
from harness.stack import slices
from harness.stack.stack import Server, clear_leftovers

DIAL: Final = "MEMBENCH_FAULTS_FILE"
"""Environment variable by which scenarios.faults is told of its file."""


@dataclass(frozen=True)
class CalibrationOptions:
    """The options of `membench gate --calibrate`, checked.

    Attributes:
        pairs: of each factor; none only draws anew from `gates`.
        gates: folders of gates of a revision against itself. With them only the blocks of what is slowed down are
            measured, and theirs stand for all the rest.
        postgres: auto, container, embedded, or a URL.
    """

    pairs: int
    gates: tuple[Path, ...]
    postgres: str


class CalibrationRun:
    """Runs one calibration.

    Args:
        record: to fill.
        blocks: the load of each kind of block, by name.
        options: of the calibration.
        folder: for the record and its reports.
        stdout: for results.
        stderr: for progress.
    """

    def __init__(
        self,
        record: CalibrationRecord,
        blocks: dict[str, Scenario],
        options: CalibrationOptions,
        folder: Path,
        stdout: Console,
        stderr: Console,
    ) -> None:
        self._record, self._blocks, self._options, self._folder = record, blocks, options, folder
        self._stdout, self._stderr = stdout, stderr

    def run(self) -> bool:
        """Measure, draw gates anew, print, and leave everything in the folder; whether it came to its end.

        Raises:
            UsageError: a gate given is none of a revision against itself.
            MembenchError: a service does not come up.
        """
        recorded: list[Pair] = []
        for folder in self._options.gates:
            recorded += self._of_gate(folder, recorded[-1].round if recorded else 0)
        interrupts, whole = Interrupts(), True
        with interrupts.installed(), Display(self._stderr) as display:
            try:
                if self._options.pairs:
                    self._measure(display)
            except KeyboardInterrupt:
                whole = False
            # From here on signals wait: what was measured is worth more than a quick end.
            with interrupts.passed_to(lambda: None):
                display.step("drawing gates anew from what was measured")
                self._draw(recorded)
                self._write()
        self._stdout.print(text(self._record), markup=False, highlight=False, soft_wrap=True)
        self._stderr.print(f"calibration folder: {self._folder}", highlight=False, soft_wrap=True)
        return whole

    def _of_gate(self, folder: Path, rounds: int) -> list[Pair]:
        """The figures of a gate's pairs, whose rounds come after so many of other gates."""
        gate = load_gate(folder)
        base, head = (gate.sides.get(side) for side in SIDES)
        if base is None or head is None or base.what != head.what or base.revision != head.revision:
            raise UsageError(f"{folder} is no gate of a revision against itself", hint="membench gate --control")
        if gate.status != "complete":
            raise UsageError(f"{folder} is a gate that was {gate.status}", hint="give gates that came to their end")
        self._record.gates.append(gate.id)
        self._record.false_alarms += gate.verdict is GateVerdict.REGRESSION
        for pair in gate.pairs:
            pair.values = {}
            pair.take_values(self._record.rules.metrics)
            pair.round += rounds
        return [figures(pair) for pair in gate.pairs]

    def _measure(self, display: Display) -> None:
        record, options, began = self._record, self._options, time.monotonic()
        clear_leftovers(display.step)
        slices.shorten()  # as a gate does
        with Server(options.postgres, services=len(SIDES), autovacuum=False, say=display.step) as server:
            dial = server.ledger.folder("dial") / "faults"
            corpus = GeneratedCorpus.of_day(record.memories, seed=DATA_SEED, moment=datetime.now(UTC))
            # The same code twice, so that factor 1 is alike in everything.
            sources = {
                side: Command(command(dial if side == "head" else dial.with_name("untouched")), server.ledger)
                for side in SIDES
            }
            cloned = Cloned(
                dict(sources), server.admin_url, server.postgres.settings, server.ledger, corpus, display.step
            )
            try:
                cloned.prepare()
                with LoadSeries(server.ledger.folder("series"), server.ledger.environment()) as series:
                    slowed = {metric.block for metric in record.rules.metrics if metric.operation == OPERATION}
                    blocks = {n: load for n, load in self._blocks.items() if n in slowed or not options.gates}
                    factors = [factor for factor in FACTORS if factor != ALIKE or not options.gates]
                    measuring = Measuring(blocks, record.rules, series, server.ledger, record.seed)
                    calibrating = Calibrating(
                        cloned, measuring, dial, factors, _block_of(record.rules), record.seed, display.step
                    )

                    def measured(number: int) -> None:
                        record.arms = [
                            Arm(arm.factor, [figures(pair) for pair in arm.pairs]) for arm in calibrating.arms
                        ]
                        record.share = calibrating.share
                        record.minutes = (time.monotonic() - began) / 60
                        records.save(record, self._folder)
                        display.step(f"{number} of {options.pairs} pairs of each factor")

                    calibrating.run(options.pairs, measured)
            finally:
                cloned.stop()

    def _draw(self, recorded: list[Pair]) -> None:
        record = self._record
        if recorded:
            record.arms.insert(0, Arm(ALIKE, recorded))
        for arm in record.arms:
            alike, rounds = arm.factor == ALIKE, rounds_of(arm.pairs)
            if recorded and not alike:
                rounds = completed(rounds, rounds_of(recorded))
            if len(rounds) > 1:
                arm.result = resampled(rounds, record.rules, alike=alike, seed=record.seed)

    def _write(self) -> None:
        try:
            records.save(self._record, self._folder)
            (self._folder / "calibration.md").write_text(text(self._record))
            if any(arm.result for arm in self._record.arms if arm.factor != ALIKE):
                (self._folder / "calibration.svg").write_text(plot(self._record))
        except OSError as error:
            raise MembenchError(f"the folder {self._folder} cannot be written: {error.strerror}") from error


def _block_of(rules: Rules) -> str:
    """Whose searches tell what of their time is the service's."""
    for metric in rules.metrics:
        if metric.operation == OPERATION and metric.kind == "latency":
            return metric.block
    raise UsageError(f"these rules have no latency of {OPERATION}, which a calibration slows down")


def command(dial: Path) -> str:
    """Starts the reference service with the fault planted, of the factor that a file tells."""
    words = ["env", f"{DIAL}={dial}", sys.executable, "-m", "scenarios.faults", f"{FAULT}=1"]
    return f"{shlex.join(words)} --port {{port}} --database {{database_url}}"


def figures(pair: Pair) -> Pair:
    """A pair without histograms: its doubts and its values are what is drawn from."""
    spoilt = [block for block in pair.blocks if block.doubts]
    for block in spoilt:
        block.histograms = {}
    return Pair(number=pair.number, round=pair.round, first=pair.first, blocks=spoilt, values=pair.values)
