"""`membench stress`: the mixed load with and without pressure on the host, and what that cost."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec.structs import replace

from harness.cli import folders
from harness.cli.options import DEFAULT_MEMORIES, RUNS, RunOptions, checked_postgres, checked_url, choose
from harness.core.errors import UsageError
from harness.core.scenario import Scenario, parse_duration
from harness.load.pressure import CPU_SHARE, MEMORY_SHARE, Wanted

SCENARIO: Final = "mixed"
ROUNDS: Final = (("", False), ("_pressed", True), ("_pressed_again", True), ("_again", False))
"""Suffix of each round's name, and whether it is pressed. There and back again, so that what drifts evens out."""

Load = Annotated[float | None, typer.Option(help="Requests per second, open loop.", rich_help_panel="Load", min=0.001)]


def register(app: typer.Typer, execute: Callable[[RunOptions], int]) -> None:
    """Add the verb to the command.

    Args:
        app: the command.
        execute: runs what the options say; returns the exit status.
    """

    @app.command(epilog="Examples:  membench stress  |  membench stress --memory-pressure --duration 60s")
    def stress(
        memory_pressure: Annotated[
            bool,
            typer.Option(
                "--memory-pressure",
                help=f"Hold {MEMORY_SHARE:.0%} of the available memory, as long as 1 GiB and a fifth of all stay free.",
            ),
        ] = False,
        cpu_pressure: Annotated[
            bool,
            typer.Option("--cpu-pressure", help=f"Use {CPU_SHARE:.0%} of each core, at the usual priority (nice 0)."),
        ] = False,
        memory_most: Annotated[
            int | None, typer.Option(metavar="MIB", help="Hold no more memory than this.", min=64)
        ] = None,
        duration: Annotated[
            str, typer.Option(help="Length of each of the four measure phases.", rich_help_panel="Load")
        ] = "30s",
        rate: Load = None,
        users: Annotated[
            int | None,
            typer.Option(help="Users who think between requests. [default: 100]", rich_help_panel="Load", min=1),
        ] = None,
        seed: Annotated[int, typer.Option(help="Of everything random.", rich_help_panel="Load", min=0)] = 1,
        url: Annotated[
            str | None,
            typer.Option(
                help="Press beside the service at this URL, which should be on this machine.",
                rich_help_panel="System under test",
            ),
        ] = None,
        postgres: Annotated[
            str, typer.Option(metavar="auto|container|embedded|URL", rich_help_panel="System under test")
        ] = "auto",
        memories: Annotated[
            int, typer.Option(help="Memories to generate and load.", rich_help_panel="Data", min=1)
        ] = DEFAULT_MEMORIES,
        out: Annotated[
            Path | None, typer.Option(help="The run's folder. [default: results/runs/<time>-stress]")
        ] = None,
    ) -> None:
        """Press on this machine while the mixed load runs, and say what that cost.

        Four rounds: calm, pressed, pressed, calm. Targets are judged on the first, calm one; the others are there to
        be compared. Without --memory-pressure or --cpu-pressure it does both.
        """
        if rate is not None and users is not None:
            raise UsageError("--rate is open load and --users is closed: give one of them")
        both = not (memory_pressure or cpu_pressure)
        wanted = Wanted(cpu_pressure or both, memory_pressure or both, memory_most)
        chosen, *_ = choose([SCENARIO], None, rate=rate, users=users, duration=parse_duration(duration))
        rounds = {name: _named(chosen[0], name, pressed) for name, pressed in ROUNDS}
        options = RunOptions(
            scenarios=list(rounds.values()),
            micro=False,
            suite="",
            url=checked_url(url),
            postgres=checked_postgres(postgres),
            seed=seed,
            memories=memories,
            corpus=None,
            questions=None,
            out=out or RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-stress",
            command=["membench", *sys.argv[1:]],
            pressure={rounds[name].name: wanted for name, pressed in ROUNDS if pressed},
        )
        folders.prepare(options.out)
        typer.echo(_plan(wanted, options.scenarios[0]), err=True)
        raise typer.Exit(execute(options))


def _named(scenario: Scenario, suffix: str, pressed: bool) -> Scenario:
    title = f"{scenario.title}, {'under pressure' if pressed else 'calm'}{', again' * suffix.endswith('again')}"
    phases = scenario.phases
    # Four warm-ups: none need be longer than what it is for.
    short = replace(phases, **{name: min(getattr(phases, name), phases.measure) for name in ("warmup", "warmup_most")})
    return replace(scenario, name=scenario.name + suffix, title=title, phases=short)


def _plan(wanted: Wanted, scenario: Scenario) -> str:
    """What is about to be done to this machine, and for how long."""
    parts = []
    if wanted.cpu:
        parts.append(f"{CPU_SHARE:.0%} of each core")
    if wanted.memory:
        parts.append(f"up to {wanted.memory_mib:,.0f} MiB of memory")
    phases = scenario.phases
    least, most = ((warmup + phases.measure) * len(ROUNDS) / 60 for warmup in (phases.warmup, phases.longest_warmup))
    return (
        f"four rounds (calm, pressed, pressed, calm) of {phases.measure:g} s each, {least:.1f} to {most:.1f} minutes "
        f"of load; pressure: {' and '.join(parts)}"
    )
