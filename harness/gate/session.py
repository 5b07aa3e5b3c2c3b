"""One gate, from the services coming up to the verdict."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from harness.core.gate import GateRecord, Pair
from harness.core.rules import Waiver
from harness.gate.measuring import Measuring
from harness.gate.services import Services
from harness.gate.sources import Say
from harness.judge.gate import cut_short, decide
from harness.judge.sides import differences, errors_of
from harness.load.driver import LoadSeries
from harness.stack.ledger import Ledger


class Gate:
    """Measures pairs until the verdict is reached.

    Args:
        record: to fill; has its rules, blocks and seed.
        services: of both sides.
        ledger: of the gate.
        waivers: regressions that are accepted.
        say: told what is going on.
        paired: called after each pair; may save the record, and show how it stands.
    """

    def __init__(
        self,
        record: GateRecord,
        services: Services,
        ledger: Ledger,
        waivers: Sequence[Waiver],
        say: Say,
        paired: Callable[[], None],
    ) -> None:
        self.record, self._services, self._ledger = record, services, ledger
        self._waivers, self._say, self._paired = waivers, say, paired

    def run(self) -> None:
        """Measure. Whatever ends it early stands in the record.

        Raises:
            KeyboardInterrupt: by the user.
        """
        record = self.record
        with LoadSeries(self._ledger.folder("series"), self._ledger.environment()) as series:
            measuring = Measuring(record.blocks, record.rules, series, self._ledger, record.seed)
            judge(record, self._pairs(measuring), self._waivers, self._paired)

    def _pairs(self, measuring: Measuring) -> Iterator[Pair]:
        record, rules = self.record, self.record.rules
        for round_ in range(1, -(-rules.most // rules.round_pairs) + 1):
            self._begin(measuring, round_)
            if differences(record):
                return
            measuring.warm(self._services, round_)
            for _ in range(min(rules.round_pairs, rules.most - len(record.pairs))):
                yield measuring.pair(self._services, len(record.pairs) + 1, round_)

    def _begin(self, measuring: Measuring, round_: int) -> None:
        """Both services anew."""
        first = measuring.toss()
        self._say(f"round {round_}: both services start anew on databases cloned from one template")
        self._services.begin_round(first)
        self.record.sides = dict(self._services.compared)
        self.record.settings, self.record.memories = self._services.settings, self._services.memories


def judge(record: GateRecord, pairs: Iterable[Pair], waivers: Sequence[Waiver], paired: Callable[[], None]) -> None:
    """Take pairs, one after the other, until the verdict is reached.

    Args:
        record: to fill.
        pairs: measured as they are asked for.
        waivers: regressions that are accepted.
        paired: called after each.
    """
    today = date.today()
    for pair in pairs:
        record.pairs.append(pair)
        over = decide(record, waivers, today)
        paired()
        if over:
            return
        if differences(record) or errors_of(record, certain=True):
            break  # nothing that is still to come would change that
    cut_short(record)
