"""The selftest as a command: from its options to what it prints, the files that it leaves, and its exit status."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.cli import folders
from harness.cli.display import Display
from harness.cli.interrupt import Interrupts
from harness.core.errors import Exit, UsageError
from harness.core.verdict import exit_status
from harness.report.agreement import Agreement, agreement_plot
from harness.selftest.offering import Bench
from harness.selftest.run import Outcome, Selftest, choose, save
from harness.selftest.table import print_table
from harness.stack.ledger import Ledger
from harness.stack.stack import clear_leftovers
from harness.telemetry.provenance import provenance

PLOT = "selftest.svg"


def selftest(names: Sequence[str], out: Path, console: Console, progress: Console) -> int:
    """Check the instrument, print the table, and leave selftest.json and selftest.svg in a folder.

    Args:
        names: of the cases; none for all.
        out: the folder.
        console: for the table.
        progress: for everything else.

    Returns:
        the exit status.

    Raises:
        UsageError: there is no such case, or the folder cannot be written.
    """
    chosen = choose(names)
    folders.prepare(out)
    interrupts = Interrupts()
    with interrupts.installed():
        with Display(progress) as display:
            clear_leftovers(display.step)
            with Ledger() as ledger:
                bench = Bench(ledger.folder("selftest"), ledger.environment(), display)
                outcome = Selftest(bench, chosen, provenance(["membench", *sys.argv[1:]])).run()
        # From here on signals wait: what was found is worth more than a quick end.
        with interrupts.passed_to(lambda: None):
            print_table(outcome, console)
            _write(outcome, out)
    progress.print(f"selftest folder: {out}", highlight=False, soft_wrap=True)
    return Exit.INTERRUPTED if outcome.interrupted else exit_status(outcome.verdict)


def plot(outcome: Outcome) -> str:
    """SVG of all times, measured against expected."""
    figures = [
        Agreement(row.case, row.check.figure, *row.check.plotted, row.verdict)
        for row in outcome.rows
        if row.check.plotted
    ]
    return agreement_plot("Measured against expected", figures)


def _write(outcome: Outcome, out: Path) -> None:
    try:
        save(outcome, out)
        (out / PLOT).write_text(plot(outcome))
    except OSError as error:
        raise UsageError(f"the selftest is over, but {out} cannot be written: {error.strerror}") from error
