"""`membench baseline`: run records kept under a name."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from harness.cli import folders
from harness.core.baseline import Baselines

BASELINES: Final = Path("results") / "baselines"
_MOST: Final = 50
"""Characters of a value in a table; all of it is in baseline.json."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="A baseline's name.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    baseline = typer.Typer(
        no_args_is_help=True,
        help="Keep runs' records under a name, to compare later ones with.",
        epilog="Example:  membench baseline save latest --as v0.1  &&  membench baseline promote v0.1  &&  "
        "membench compare latest",
    )
    baseline.command(epilog="Example:  membench baseline save latest --as before-cache --note 'without the cache'")(
        save
    )
    baseline.command("list")(show_all)
    baseline.command()(show)
    baseline.command(epilog="Example:  membench baseline promote before-cache")(promote)
    app.add_typer(baseline, name="baseline")


def save(
    run: Annotated[str, typer.Argument(help="A run's folder, its name under results/runs, or 'latest'.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="To keep it under: a-z, 0-9, '-', '_', '.'.")],
    note: Annotated[str, typer.Option(help="Why it is kept.")] = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also a run that is not whole or is INVALID; that is recorded.")
    ] = False,
) -> None:
    """Keep a run's record under results/baselines, which is tracked. Nothing is overwritten."""
    kept = Baselines(BASELINES)
    about = kept.save(folders.find(run), name, now=_now(), note=note, anyway=anyway)
    typer.echo(f"run {about.run} is kept as baseline {name}: {kept.folder(name)}")
    for line in about.despite:
        typer.echo(f"  despite: {line}")
    typer.echo(f"membench baseline promote {name}   makes it what 'membench compare' takes by itself")


def show_all() -> None:
    """List the baselines, the current one marked."""
    from harness.report.printer import Printer

    kept = Baselines(BASELINES)
    names, pointer = kept.names(), kept.current()
    if not names:
        typer.echo("no baselines yet; membench baseline save RUN --as NAME keeps one")
        return
    out = Printer(Console())
    table = out.table("baseline", "saved (UTC)", "run", "machine", left=4)
    for name in names:
        about = kept.about(name)
        current = " (current)" if pointer is not None and pointer.name == name else ""
        said = [about.note] * bool(about.note) + [f"despite: {line}" for line in about.despite[:1]]
        mark = f" {out.mark('; '.join(said))}" if said else ""
        saved = about.saved_at[:16].replace("T", " ")
        out.row(table, f"{name}{current}{mark}", saved, about.run, about.fingerprint.hash("machine"))
    out.show(table)
    out.footnotes()


def show(name: Name) -> None:
    """Show where a baseline comes from, and what must be equal to compare with it."""
    from harness.report.printer import Printer

    kept = Baselines(BASELINES)
    about, pointer = kept.about(name), kept.current()
    kept.record(name)
    out = Printer(Console())
    current = pointer is not None and pointer.name == name
    out.line(f"{name}{', the current baseline' if current else ''}: run {about.run}, saved {about.saved_at}", "bold")
    out.line(f"revision {about.revision or 'unknown'}")
    for line in [about.note] * bool(about.note) + [f"despite: {one}" for one in about.despite]:
        out.line(line)
    out.line()
    table = out.table("must be equal", "", "value", left=3)
    table.columns[-1].no_wrap = False
    for part in about.fingerprint.parts:
        out.row(table, part.name, part.group, part.value if len(part.value) <= _MOST else f"{part.value[:_MOST]}…")
    out.show(table)
    out.line()
    out.line(f"Its figures: membench show {kept.folder(name)}")


def promote(name: Name) -> None:
    """Make a baseline the current one, which 'membench compare' takes by itself."""
    pointer = Baselines(BASELINES).promote(name, now=_now())
    typer.echo(
        f"{pointer.name} is the current baseline since {pointer.promoted_at}"
        + (f"; before it was {pointer.before}" if pointer.before else "")
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
