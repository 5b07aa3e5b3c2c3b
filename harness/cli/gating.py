"""A gate as a command: from its options to its folder."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

import scenarios
from harness.cli.display import Display
from harness.cli.interrupt import Interrupts
from harness.core import gate as records
from harness.core.errors import MembenchError, UsageError
from harness.core.gate import SIDES, GateRecord, GateVerdict, Side
from harness.core.record import Status
from harness.core.rules import Waiver
from harness.corpus import GeneratedCorpus
from harness.gate.micro import MicroGate
from harness.gate.services import Cloned, Given, Services
from harness.gate.session import Gate
from harness.gate.sources import Command, Revision, Source
from harness.judge.sides import remarks
from harness.report.gate.terminal import print_gate
from harness.report.gate.words import progress_line
from harness.report.gate.write import write_gate
from harness.stack import slices
from harness.stack.checkout import Checkout
from harness.stack.ledger import Ledger
from harness.stack.stack import Server, clear_leftovers

DATA_SEED: Final = 1
"""Of the memories: always the same, so that gates of different seeds stand on the same ground."""


def note_of(shortened: bool) -> str:
    """What a reader should know of the scheduler's part in the figures."""
    if shortened:
        return (
            "whatever the gate started ran in slices of 0.1 ms, both sides alike, so that tails are the services' own"
        )
    return "this kernel gives no short slices (Linux 6.12 does): tails scatter more, by waits for the next tick"


@dataclass(frozen=True)
class GateOptions:
    """The options of `membench gate`, checked. One of `base`, `urls` and `commands` is given.

    Attributes:
        base: revision that the working tree is compared with.
        control: whether base is measured against itself instead.
        micro: whether the service's parts are measured instead of the service; of `base` only.
        urls: of services that are there already.
        commands: that start the services.
        postgres: auto, container, embedded, or a URL.
        memories: that both begin with.
        waivers: regressions of its metrics that are accepted.
    """

    base: str | None
    control: bool
    micro: bool
    urls: dict[Side, str] | None
    commands: dict[Side, str] | None
    postgres: str
    memories: int
    waivers: list[Waiver]


class Gating:
    """One gate, with what the user sees of it.

    Args:
        record: to fill.
        options: of the gate.
        folder: for the record and its reports.
        stdout: for results.
        stderr: for progress.
    """

    def __init__(
        self, record: GateRecord, options: GateOptions, folder: Path, stdout: Console, stderr: Console
    ) -> None:
        self._record, self._options, self._folder = record, options, folder
        self._stdout, self._stderr = stdout, stderr

    def run(self) -> None:
        """Measure, print, and leave everything in the folder.

        Raises:
            UsageError: the revision cannot be had; nothing was measured.
        """
        interrupts, began = Interrupts(), time.monotonic()
        with interrupts.installed():
            with Display(self._stderr) as display:
                try:
                    self._measure(display, began)
                    self._record.status = "complete"
                except KeyboardInterrupt:
                    self._end("interrupted", "interrupted by the user", "let the gate come to its end")
                except UsageError:
                    raise
                except Exception as error:
                    told = isinstance(error, MembenchError)
                    hint = error.hint if isinstance(error, MembenchError) else "report this as a defect of membench"
                    self._end("failed", f"{error}" if told else f"{type(error).__name__}: {error}", hint)
            self._record.seconds = time.monotonic() - began
            # From here on signals wait: what was found is worth more than a quick end.
            with interrupts.passed_to(lambda: None):
                print_gate(self._record, self._stdout)
                self._write()

    def _end(self, status: Status, reason: str, hint: str) -> None:
        record = self._record
        if record.look is not None:
            # What came after the verdict, such as taking the services down, changes nothing of it.
            record.status = "complete"
            record.notes.append(f"after the verdict: {reason}")
            return
        record.status, record.verdict = status, GateVerdict.INVALID
        record.reasons, record.hints = [reason], [hint] if hint else []
        record.notes += [note for note in remarks(record) if note not in record.notes]

    def _measure(self, display: Display, began: float) -> None:
        record = self._record

        def paired() -> None:
            record.seconds = time.monotonic() - began
            # Should this process be killed, what it has measured so far is there.
            records.save(record, self._folder)
            display.step(progress_line(record))

        options = self._options
        clear_leftovers(display.step)
        record.notes.append(note_of(slices.shorten()))
        if options.micro:
            with Server(options.postgres, say=display.step) as server:
                record.settings = server.postgres.settings
                MicroGate(
                    record,
                    self._revisions(server.ledger, display),
                    server.admin_url,
                    server.ledger,
                    options.waivers,
                    display.step,
                    paired,
                    instrument=scenarios.FOLDER.parent,
                ).run()
            return
        with self._services(display) as (services, ledger):
            Gate(record, services, ledger, options.waivers, display.step, paired).run()
            display.step("taking the services down")

    @contextlib.contextmanager
    def _services(self, display: Display) -> Iterator[tuple[Services, Ledger]]:
        options = self._options
        corpus = GeneratedCorpus.of_day(options.memories, seed=DATA_SEED, moment=datetime.now(UTC))
        if options.urls is not None:
            with Ledger() as ledger:
                yield Given(options.urls, corpus, display.step), ledger
            return
        with Server(options.postgres, services=len(SIDES), autovacuum=False, say=display.step) as server:
            sources = self._sources(server.ledger, display)
            settings = server.postgres.settings
            cloned = Cloned(sources, server.admin_url, settings, server.ledger, corpus, display.step)
            try:
                cloned.prepare()
                yield cloned, server.ledger
            finally:
                cloned.stop()

    def _sources(self, ledger: Ledger, display: Display) -> dict[Side, Source]:
        options = self._options
        if options.commands is not None:
            return {side: Command(text, ledger) for side, text in options.commands.items()}
        return dict(self._revisions(ledger, display))

    def _revisions(self, ledger: Ledger, display: Display) -> dict[Side, Revision]:
        options = self._options
        assert options.base is not None  # the options were checked
        base = Revision(options.base, Checkout.of(options.base, ledger, display.step), ledger)
        if options.control:
            return {"base": base, "head": Revision(options.base, base.checkout, ledger)}
        return {"base": base, "head": Revision("the working tree", Checkout.here(), ledger)}

    def _write(self) -> None:
        try:
            records.save(self._record, self._folder)
            write_gate(self._record, self._folder)
        except OSError as error:
            raise MembenchError(
                f"the gate is over, but its folder {self._folder} cannot be written: {error.strerror}",
                hint="the figures above are all that is left of it",
            ) from error
        self._stderr.print(f"gate folder: {self._folder}", highlight=False, soft_wrap=True)
