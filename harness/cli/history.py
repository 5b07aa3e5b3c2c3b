"""`membench history`: what gates against one reference found, over time."""

import re
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from harness.cli.options import RUNS
from harness.core import gate as gates
from harness.core import record as records
from harness.core.errors import UsageError
from harness.core.history import SUFFIX, append, entry_of, load

HISTORY: Final = Path("results") / "history"
USUAL: Final = "gate"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    history = typer.Typer(
        help="Ratios of gates against one reference over time, with the places where they changed. Advice, never a "
        "gate.",
        epilog="Example:  membench history add results/runs/20260504-090000-gate  &&  membench history",
        invoke_without_command=True,
    )

    @history.callback()
    def root(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            show(USUAL)

    history.command(epilog="Example:  membench history add results/runs/20260504-090000-gate")(add)
    history.command(epilog="Example:  membench history show gate")(show)
    app.add_typer(history, name="history")


def add(
    gate: Annotated[list[str], typer.Argument(metavar="GATE...", help="Gates' folders or names under results/runs.")],
    name: Annotated[str, typer.Option(help="The history to add them to.")] = USUAL,
) -> None:
    """Add gates to a history: results/history/<name>.jsonl, a line each.

    A gate that is there already is not added again. Only whole and valid gates whose base is a revision that stays:
    ratios to a reference that moves are no series.
    """
    path = _path(name)
    for word in gate:
        entry = entry_of(_find(word))
        added = append(path, entry)
        typer.echo(
            f"gate {entry.gate} {'added to' if added else 'is already in'} {path}: {len(entry.metrics)} metrics of "
            f"{entry.head[:10] or 'unknown'} against {entry.base[:10]}"
        )


def show(name: Annotated[str, typer.Argument(metavar="[NAME]", help="Which history.")] = USUAL) -> None:
    """Show the latest ratios and where they changed; draw them beside the history, as NAME.svg and NAME.md."""
    from harness.judge.courses import courses
    from harness.report.history import print_history, write

    path = _path(name)
    entries = load(path)
    if not entries:
        raise UsageError(f"there is no history at {path}", hint="membench history add GATE begins one")
    found = courses(entries)
    print_history(name, found, Console())
    try:
        drawn = write(name, found, path.parent)
    except OSError as error:
        raise UsageError(f"cannot write to {path.parent}: {error.strerror}") from error
    typer.echo("drawn: " + ", ".join(map(str, drawn)), err=True)


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name for a history", hint="a-z, 0-9, '-', '_' and '.', up to 64 of them")
    return HISTORY / f"{name}{SUFFIX}"


def _find(word: str) -> gates.GateRecord:
    for folder in (Path(word), RUNS / word):
        if folder.is_file() or (folder / gates.FILE).exists():
            return gates.load(folder)
        if (folder / records.FILE).exists():
            raise UsageError(
                f"{folder} is a run: only the ratios of a gate can be followed over time",
                hint="membench compare A B puts two runs side by side",
            )
    raise UsageError(f"there is no gate '{word}'", hint="GATE is a gate's folder, or its name under results/runs")
