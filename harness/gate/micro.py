"""Base's and head's micro-benchmarks in turns: what the service's parts cost, without a service."""

import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from harness.core.errors import LoadError, StackError
from harness.core.gate import SIDES, Block, GateRecord, Pair, Side
from harness.core.histogram import enough_for
from harness.core.record import MicroResult
from harness.core.rules import Metric, Rules, Waiver
from harness.gate import session
from harness.gate.sources import Revision, Say
from harness.judge.doubt import STEAL_BOUND
from harness.judge.sides import differences
from harness.load import micro
from harness.stack.databases import Databases
from harness.stack.ledger import Ledger
from harness.telemetry.host import StealMeter

BLOCK: Final = "micro"
PREFIX: Final = f"{BLOCK} "
"""What the names of these metrics, and of no others, begin with."""
SUITE: Final = Path("scenarios", "micro")
PARTS: Final = "reference_impl"
"""The package that is measured: each side has its own."""

BUDGET_US: Final = 20_000.0
"""Microseconds that the rounds of one benchmark are to take."""
FEWEST: Final = 8
"""Rounds that a benchmark has however long they take."""
GATED: Final = 50
ADVISING: Final = (95, 99)
"""Percentiles, where the rounds carry them."""
_HINT: Final = "the suite is head's: where it needs what base does not have, compare the services instead"

Results = dict[str, MicroResult]


class MicroGate:
    """Measures pairs of runs of head's suite, over base's parts and over head's, until the verdict is reached.

    A first run for each side counts for nothing. It tells how many rounds each benchmark can have; all runs that
    follow have the same, since percentiles of two samples of different sizes are not alike.

    Args:
        record: to fill; its rules tell how to decide, and get their metrics with the first pair.
        revisions: both sides.
        server: URL of a PostgreSQL server whose role may make databases; None skips what needs one.
        ledger: of the gate.
        waivers: regressions of these metrics that are accepted.
        say: told what is going on.
        paired: called after each pair; may save the record, and show how it stands.
        instrument: folder with the suite, and with what of the harness it imports.
    """

    def __init__(
        self,
        record: GateRecord,
        revisions: Mapping[Side, Revision],
        server: str | None,
        ledger: Ledger,
        waivers: Sequence[Waiver],
        say: Say,
        paired: Callable[[], None],
        *,
        instrument: Path,
    ) -> None:
        self.record, self._revisions, self._server, self._ledger = record, revisions, server, ledger
        self._waivers, self._say, self._paired, self._instrument = waivers, say, paired, instrument
        self._coin = random.Random(f"order/{record.seed}")

    def run(self) -> None:
        """Measure. Whatever ends it early stands in the record.

        Raises:
            LoadError: benchmarks fail on a side, or none ran.
            StackError: a side's parts cannot be told apart from others.
            KeyboardInterrupt: by the user.
        """
        self.record.sides = {side: revision.compared for side, revision in self._revisions.items()}
        self.record.rules = rules_of(self.record.rules, [])
        session.judge(self.record, self._pairs(), self._waivers, self._paired)

    def _pairs(self) -> Iterator[Pair]:
        record = self.record
        if differences(record):
            return
        databases = Databases(self._server, self._ledger) if self._server else None
        runs = {side: Run(side, self._revisions[side], self._instrument, self._ledger) for side in SIDES}
        templates: dict[Side, str] = {}
        try:
            first: dict[Side, Results] = {}
            for side in SIDES:
                self._say(f"{side}: a first run of the micro-benchmarks, which tells how many rounds each can have")
                if databases:
                    templates[side] = databases.make()
                first[side] = runs[side].results(self._server, templates.get(side), {"*": FEWEST})
            rounds = rounds_of(first)
            if not rules_of(record.rules, metrics_of(first)).could_find:
                raise LoadError(
                    f"{record.rules.looks[-1]} pairs are too few for so many micro-benchmarks: nothing could be found",
                    hint="give the rules' last look more pairs",
                )
            for number in range(1, record.rules.most + 1):
                order = [self._coin.choice(SIDES)]
                order += [side for side in SIDES if side not in order]
                pair, found = Pair(number=number, round=1, first={BLOCK: order[0]}, blocks=[]), {}
                for side in order:
                    meter, began = StealMeter(), time.monotonic()
                    found[side] = runs[side].results(self._server, templates.get(side), rounds)
                    pair.blocks.append(_block(side, time.monotonic() - began, meter.share()))
                if number == 1:
                    record.rules = rules_of(record.rules, metrics_of(found))
                    record.notes += _alone(found)
                pair.values = values_of(found, record.rules.metrics)
                yield pair
        finally:
            if databases:
                for url in templates.values():
                    databases.drop(url)


class Run:
    """Head's suite over one side's parts.

    Args:
        side: which.
        revision: its code and interpreter.
        instrument: folder with the suite.
        ledger: of the gate.

    Raises:
        StackError: the interpreter would import other parts than this side's.
    """

    def __init__(self, side: Side, revision: Revision, instrument: Path, ledger: Ledger) -> None:
        self._side, self._ledger, self._python = side, ledger, revision.checkout.python
        self._overlay = ledger.folder(f"micro-{side}")
        for name in ("scenarios", "harness"):
            if (instrument / name).exists():
                (self._overlay / name).symlink_to(instrument / name)
        parts = self._overlay / PARTS
        parts.symlink_to(revision.checkout.root / PARTS)
        self._environment = {**ledger.environment(), "PYTHONPATH": str(self._overlay)}
        if (imported := self._imported()) != str(parts):
            # Both sides would be the same, and no difference would ever be found.
            raise StackError(f"{side}: not its own {PARTS} would be measured, but {imported}")

    def results(self, server: str | None, template: str | None, rounds: Mapping[str, int]) -> Results:
        """One run, by "group/name".

        Raises:
            LoadError: a benchmark fails, or none ran.
        """
        folder, suite = self._ledger.folder("micro"), self._overlay / SUITE
        try:
            found = micro.run(
                suite, server, folder, self._environment, python=self._python, template=template, rounds=rounds
            )
        except LoadError as error:
            raise LoadError(f"{self._side}: {error}", hint=_HINT if self._side == "base" else "") from error
        return {f"{one.group}/{one.name}": one for one in found}

    def _imported(self) -> str:
        """Where the package that is measured would come from; or why from nowhere."""
        command = [self._python, "-c", f"import {PARTS} as parts; print(*parts.__path__)"]
        done = subprocess.run(
            command,
            env=self._environment,
            cwd=self._overlay,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = (done.stdout or done.stderr).strip().splitlines()
        return said[-1] if said else "nothing"


def rounds_of(first: Mapping[Side, Results]) -> dict[str, int]:
    """How many rounds each benchmark may have at the most, the same for both sides; `first` has a few."""
    rounds = {"*": FEWEST}
    for name in _common(first):
        slower = max(first[side][name].p50 for side in SIDES)
        rounds[name] = max(FEWEST, int(BUDGET_US / max(slower, 0.001)))
    return rounds


def metrics_of(found: Mapping[Side, Results]) -> list[Metric]:
    """Of each benchmark that both sides have: its P50, which gates; its P95 and P99, where the rounds carry them."""
    metrics = [_metric(name, GATED, gated=True) for name in _common(found)]
    for percent in ADVISING:
        enough = [name for name in _common(found) if min(found[s][name].rounds for s in SIDES) >= enough_for(percent)]
        metrics += [_metric(name, percent, gated=False) for name in enough]
    return metrics


def rules_of(rules: Rules, metrics: Sequence[Metric]) -> Rules:
    """The same rules for these metrics; before there are any, one that stands for all."""
    return msgspec.structs.replace(rules, metrics=tuple(metrics) or (Metric(BLOCK, BLOCK, "micro", gated=True),))


def values_of(found: Mapping[Side, Results], metrics: Sequence[Metric]) -> dict[str, tuple[float, float]]:
    """Base's and head's figure of each metric that both have, microseconds."""
    values = {}
    for metric in metrics:
        base, head = (_figure(found[side].get(metric.operation), metric.percentile) for side in SIDES)
        if base is not None and head is not None:
            values[metric.name] = base, head
    return values


def _metric(name: str, percent: int, *, gated: bool) -> Metric:
    return Metric(f"{PREFIX}{name} P{percent}", BLOCK, "micro", name, percent, gated=gated)


def _figure(result: MicroResult | None, percent: float) -> float | None:
    """Microseconds; None where there is none above 0."""
    if result is None:
        return None
    return {50: result.p50, 95: result.p95, 99: result.p99}[round(percent)] or None


def _common(found: Mapping[Side, Results]) -> list[str]:
    base, head = (found[side] for side in SIDES)
    return [name for name in head if name in base]


def _alone(found: Mapping[Side, Results]) -> list[str]:
    common = set(_common(found))
    return [f"only {side} has {PREFIX}{name}" for side in SIDES for name in found[side] if name not in common]


def _block(side: Side, seconds: float, steal: float | None) -> Block:
    doubts = []
    if steal is not None and steal > STEAL_BOUND:
        doubts.append(f"the hypervisor took {steal:.0%} of the CPU time")
    return Block(side, BLOCK, seconds, tallies={}, histograms={}, rates={}, steal=steal, doubts=doubts)
