"""`membench compare`: two stored records side by side, as advice."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from harness.cli import folders
from harness.cli.baseline import BASELINES
from harness.cli.options import RUNS
from harness.core import record as records
from harness.core.baseline import CURRENT, Baselines
from harness.core.errors import Exit, UsageError
from harness.core.record import RunRecord


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""

    @app.command(
        epilog="Examples:  membench compare latest  |  membench compare before-cache 20260504-090000-smoke  |  "
        "membench compare A B --out compare.md.  Exit status: 0 compared, whatever was found; 3 machine or settings "
        "differ; 2 usage."
    )
    def compare(
        run: Annotated[
            list[str],
            typer.Argument(
                metavar="[A] B",
                help="Runs' folders or names, 'latest', or baselines' names. Without A, the current baseline.",
                show_default=False,
            ),
        ],
        every_clock: Annotated[bool, typer.Option("--every-clock", help="All four clocks.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON; times in microseconds.")] = False,
        out: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Write it as Markdown, too.")] = None,
    ) -> None:
        """Compare two stored records, as advice.

        Says of each figure whether B's differs from A's by more than the noise within both runs. One run each is one
        sample of the machine's mood: this is never evidence for a gate, which measures both versions in turns
        (membench gate). Where machine or settings differ, the differences are named and no figure has a verdict.
        """
        from harness.judge.compare import compare as judge
        from harness.report.compare import markdown, print_comparison

        if len(run) > 2:
            raise UsageError(f"compare takes two records, not {len(run)}", hint="membench compare A B")
        (name_a, a), (name_b, b) = (_find(word) for word in ([CURRENT] + run)[-2:])
        found = judge(a, b, (name_a, name_b))
        if as_json:
            content = {"comparable": found.comparable, **msgspec.to_builtins(found)}
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n")
        else:
            print_comparison(found, Console(), every_clock)
        if out is not None:
            try:
                out.write_text(markdown(found), encoding="utf-8")
            except OSError as error:
                raise UsageError(f"cannot write {out}: {error.strerror}") from error
        raise typer.Exit(Exit.OK if found.comparable else Exit.INVALID)


def _find(word: str) -> tuple[str, RunRecord]:
    """The record that a word means, and what to call it.

    Raises:
        UsageError: none, or two.
    """
    kept = Baselines(BASELINES)
    if word == CURRENT:
        pointer = kept.current()
        if pointer is None:
            raise UsageError(
                "there is no current baseline to compare with",
                hint="membench baseline save RUN --as NAME, then membench baseline promote NAME; or name both records",
            )
        return f"baseline {pointer.name}", kept.record(pointer.name)
    if word not in kept.names():
        return word, records.load(folders.find(word))
    if (RUNS / word / records.FILE).exists():
        raise UsageError(f"'{word}' is a baseline and a run", hint=f"the run is {RUNS / word}")
    return f"baseline {word}", kept.record(word)
