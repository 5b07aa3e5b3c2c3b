"""`membench gate`: base and head in turns, and whether head is slower."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console

import scenarios
from harness.cli import folders
from harness.cli.options import DEFAULT_MEMORIES, RUNS, checked_postgres, checked_url
from harness.core.errors import Exit, UsageError
from harness.core.gate import GateRecord, Side, exit_status
from harness.core.rules import Rules, Waiver, load_rules, load_waivers
from harness.core.scenario import load_scenario

WAIVERS: Final = Path("waivers.toml")
_SYSTEM: Final = "What is compared"
_CALIBRATION: Final = "Calibration"
_PAIRS: Final = 24


def register(app: typer.Typer, stdout: Callable[[], Console], stderr: Callable[[], Console]) -> None:
    """Add the verb to the command.

    Args:
        app: the command.
        stdout: for results.
        stderr: for progress.
    """

    @app.command(
        epilog="Examples:  membench gate --base origin/main  |  membench gate --base-url http://127.0.0.1:3333 "
        "--head-url http://127.0.0.1:3334  |  membench gate --base-command 'old/serve --port {port}' --head-command "
        "'new/serve --port {port}'. Exit status: 0 no regression, 1 regression, 3 INVALID, 4 inconclusive."
    )
    def gate(
        base: Annotated[
            str | None, typer.Option(metavar="REV", help="Compare with this revision.", rich_help_panel=_SYSTEM)
        ] = None,
        control: Annotated[
            bool,
            typer.Option(
                "--control",
                help="Measure base against itself: what this machine takes for a difference.",
                rich_help_panel=_SYSTEM,
            ),
        ] = False,
        micro: Annotated[
            bool,
            typer.Option(
                "--micro",
                help="Compare the service's parts by their micro-benchmarks instead of the service.",
                rich_help_panel=_SYSTEM,
            ),
        ] = False,
        calibrate: Annotated[
            bool,
            typer.Option(
                "--calibrate",
                help="Measure how often a gate errs on this machine: false alarms, and slowdowns of 5 to 50% found.",
                rich_help_panel=_CALIBRATION,
            ),
        ] = False,
        pairs: Annotated[
            int | None,
            typer.Option(
                min=0, help=f"Of each slowdown; 0 with --from. [default: {_PAIRS}]", rich_help_panel=_CALIBRATION
            ),
        ] = None,
        from_: Annotated[
            list[Path] | None,
            typer.Option(
                "--from",
                metavar="GATE",
                help="Draw from this gate's pairs too; one with --control. Repeatable.",
                rich_help_panel=_CALIBRATION,
            ),
        ] = None,
        base_url: Annotated[
            str | None, typer.Option(help="Base is the service at this URL.", rich_help_panel=_SYSTEM)
        ] = None,
        head_url: Annotated[
            str | None, typer.Option(help="Head is the service at this URL.", rich_help_panel=_SYSTEM)
        ] = None,
        base_command: Annotated[
            str | None,
            typer.Option(
                help="Base is started by this, with {port} and, if it wants ours, {database_url} in it.",
                rich_help_panel=_SYSTEM,
            ),
        ] = None,
        head_command: Annotated[
            str | None, typer.Option(help="Head is started by this.", rich_help_panel=_SYSTEM)
        ] = None,
        postgres: Annotated[str, typer.Option(metavar="auto|container|embedded|URL", rich_help_panel=_SYSTEM)] = "auto",
        memories: Annotated[
            int, typer.Option(help="Memories that both begin with.", rich_help_panel="Data", min=100)
        ] = DEFAULT_MEMORIES,
        seed: Annotated[
            int | None,
            typer.Option(help="Of everything random, the order of the blocks too. [default: from the clock]", min=0),
        ] = None,
        rules: Annotated[
            Path,
            typer.Option(
                help="Metrics, least effects and looks. The load of its blocks lies beside it.",
                show_default="scenarios/gate/gate.toml",
            ),
        ] = scenarios.GATE / "gate.toml",
        waivers: Annotated[
            Path | None,
            typer.Option(help=f"Regressions that are accepted for a while. [default: {WAIVERS}, if there is one]"),
        ] = None,
        inconclusive_is: Annotated[
            Literal["ok", "fail"], typer.Option(help="Whether INCONCLUSIVE ends with status 0 or 4.")
        ] = "fail",
        out: Annotated[Path | None, typer.Option(help="Its folder. [default: results/runs/<time>-gate]")] = None,
    ) -> None:
        """Measure base and head in turns on this machine, and say whether head is slower.

        Pairs of blocks in random order, both services on clones of one database, the same requests for both; decided
        by exact paired tests after 12 or 24 pairs, within ten minutes. Leaves gate.json (everything), gate.html,
        comment.md for a pull request, junit.xml and gate.svg in its folder.
        """
        urls = _both("URLs", checked_url(base_url), checked_url(head_url))
        commands = _both("commands", base_command, head_command)
        given = [base is not None, urls is not None, commands is not None].count(True)
        if calibrate and (given or micro or control):
            raise UsageError("--calibrate measures the working tree against itself: nothing else is compared")
        if not calibrate and (pairs is not None or from_):
            raise UsageError("--pairs and --from are of --calibrate: a gate's pairs stand in its rules")
        if not calibrate and given != 1:
            raise UsageError(
                "say what head is compared with, in one way",
                hint="--base REV, or --base-url and --head-url, or --base-command and --head-command",
            )
        found = load_rules(rules)
        if control and base is None:
            raise UsageError("--control is of --base", hint="give the same URL or command twice instead")
        if micro and base is None:
            raise UsageError("--micro is of --base: micro-benchmarks need the code", hint="give --base REV")
        if calibrate:
            chosen = checked_postgres(postgres)
            count = _PAIRS if pairs is None else pairs
            whole = _calibrate(rules, found, count, from_ or [], chosen, memories, seed, out, (stdout(), stderr()))
            raise typer.Exit(Exit.OK if whole else Exit.INTERRUPTED)
        from harness.cli.gating import GateOptions, Gating
        from harness.stack.checkout import resolved
        from harness.telemetry.provenance import provenance

        # All of this before anything starts.
        accepted = _waivers(waivers, found, micro=micro)
        if base is not None:
            resolved(base)
        now = datetime.now(UTC)
        folder = out or RUNS / f"{now:%Y%m%d-%H%M%S}-gate"
        record = GateRecord(
            id=folder.name,
            created_at=now.isoformat(timespec="seconds"),
            provenance=provenance(["membench", *sys.argv[1:]]),
            seed=int(now.timestamp()) % 1_000_000 if seed is None else seed,
            rules=found,
            blocks={name: load_scenario(rules.parent / f"{name}.toml") for name in found.block_names if not micro},
            # What a killed gate leaves behind says so: only the end takes it back.
            status="failed",
            reasons=["the gate did not come to its end: it was killed"],
        )
        options = GateOptions(
            base=base,
            control=control,
            micro=micro,
            urls=urls,
            commands=commands,
            postgres=checked_postgres(postgres),
            memories=memories,
            waivers=accepted,
        )
        folders.prepare(folder)
        Gating(record, options, folder, stdout(), stderr()).run()
        interrupted = record.status == "interrupted"
        status = exit_status(record.verdict, inconclusive_fails=inconclusive_is == "fail")
        raise typer.Exit(Exit.INTERRUPTED if interrupted else status)


def _waivers(given: Path | None, rules: Rules, *, micro: bool) -> list[Waiver]:
    """Those of one kind of gate, of a file that may hold both; checked where its metrics are known already."""
    from harness.gate.micro import PREFIX
    from harness.judge.waivers import check

    found = load_waivers(given or WAIVERS) if given or WAIVERS.exists() else []
    found = [one for one in found if one.metric.startswith(PREFIX) == micro]
    if not micro:
        check(found, rules.metrics)
    return found


def _calibrate(
    path: Path,
    rules: Rules,
    pairs: int,
    gates: list[Path],
    postgres: str,
    memories: int,
    seed: int | None,
    out: Path | None,
    consoles: tuple[Console, Console],
) -> bool:
    """Calibrate; whether it came to its end."""
    from harness.cli.calibrating import CalibrationOptions, CalibrationRun
    from harness.core.calibration import CalibrationRecord
    from harness.telemetry.provenance import provenance

    if not pairs and not gates:
        raise UsageError("nothing to draw from", hint="--pairs, or --from with a gate's folder, or both")
    now = datetime.now(UTC)
    folder = out or RUNS / f"{now:%Y%m%d-%H%M%S}-calibration"
    record = CalibrationRecord(
        id=folder.name,
        created_at=now.isoformat(timespec="seconds"),
        provenance=provenance(["membench", *sys.argv[1:]]),
        seed=int(now.timestamp()) % 1_000_000 if seed is None else seed,
        rules=rules,
        memories=memories,
    )
    blocks = {name: load_scenario(path.parent / f"{name}.toml") for name in rules.block_names}
    folders.prepare(folder)
    return CalibrationRun(record, blocks, CalibrationOptions(pairs, tuple(gates), postgres), folder, *consoles).run()


def _both(what: str, base: str | None, head: str | None) -> dict[Side, str] | None:
    """What was given for both sides; None where nothing was."""
    if base is None and head is None:
        return None
    if base is None or head is None:
        raise UsageError(f"base and head are given alike: give both {what}")
    return {"base": base, "head": head}
