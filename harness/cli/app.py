"""The verbs, thin: each turns its options into one call and an exit status.

They import what they need when they are called: plotting and scientific libraries take seconds to load, and neither
`--help` nor a wrong argument should wait for them.
"""

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console

import harness
from harness.cli import baseline, compare, folders, gate, history, stress
from harness.cli.interrupt import Interrupts
from harness.cli.options import DEFAULT_MEMORIES, RUNS, RunOptions, checked_postgres, checked_url, choose
from harness.cli.worker import parse_address, serve
from harness.core import record as records
from harness.core.errors import Exit, MembenchError, UsageError
from harness.core.record import RunRecord
from harness.core.scenario import parse_duration
from harness.core.secrets import hide_password
from harness.core.verdict import exit_status

app = typer.Typer(
    name="membench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Load, measure and judge an agentic memory service. Verdicts: PASS, WARN, FAIL, and INVALID where a "
    "figure cannot be believed.",
    epilog="Exit status: 0 PASS or WARN, 1 FAIL, 2 usage, 3 INVALID, 130 interrupted.",
)

Postgres = Annotated[
    str,
    typer.Option(
        metavar="auto|container|embedded|URL",
        help="Where PostgreSQL comes from: a container where a Docker engine answers, else the embedded server; or "
        "the URL of a server, on which a database of our own is made and dropped.",
        rich_help_panel="System under test",
    ),
]
Run = Annotated[str, typer.Argument(help="A run's folder, its name under results/runs, or 'latest'.", metavar="RUN")]


@app.command(
    epilog="Examples:  membench run  |  membench run search_complex --rate 300 --duration 60s  |  "
    "membench run mixed --users 100 --duration 300s --url http://127.0.0.1:3333"
)
def run(
    scenario: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO]...",
            help="Scenarios to run, in this order: names, or TOML files of your own. Without any, a suite.",
            show_default=False,
        ),
    ] = None,
    suite: Annotated[
        str | None,
        typer.Option(
            metavar="smoke|standard|full|shapes", help="A list of scenarios and their phases. [default: smoke]"
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests per second, open loop.", rich_help_panel="Load", min=0.001)
    ] = None,
    users: Annotated[
        int | None, typer.Option(help="Users who think between requests, closed loop.", rich_help_panel="Load", min=1)
    ] = None,
    think: Annotated[
        float | None,
        typer.Option(help="Seconds that each user thinks; 0 finds the saturation.", rich_help_panel="Load", min=0),
    ] = None,
    duration: Annotated[
        str | None, typer.Option(help="Length of the measure phase: 30s, 5m.", rich_help_panel="Load")
    ] = None,
    workers: Annotated[
        int,
        typer.Option(help="Load processes that share the load; each has one core.", rich_help_panel="Load", min=1),
    ] = 1,
    master: Annotated[
        bool,
        typer.Option(
            "--master",
            help="Wait for the workers to join from other hosts ('membench worker --join') instead of starting them.",
            rich_help_panel="Load",
        ),
    ] = False,
    bind: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Where a master listens. Anybody who reaches it can join or end the run: a trusted network only.",
            rich_help_panel="Load",
        ),
    ] = "127.0.0.1:5557",
    seed: Annotated[int, typer.Option(help="Of everything random.", rich_help_panel="Load", min=0)] = 1,
    url: Annotated[
        str | None,
        typer.Option(help="Measure the service at this URL; nothing is started.", rich_help_panel="System under test"),
    ] = None,
    postgres: Postgres = "auto",
    memories: Annotated[
        int | None, typer.Option(help="Memories to generate and load.", rich_help_panel="Data", min=1)
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="JSON lines of memories to load instead.", rich_help_panel="Data")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="JSON lines of questions to search for.", rich_help_panel="Data")
    ] = None,
    steady: Annotated[
        bool,
        typer.Option(
            "--steady",
            help="Calm the host for the run: no core sleeps, and from four cores on generator, service and PostgreSQL "
            "keep to cores of their own. Undone afterwards; the report says what was done.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The run's folder. [default: results/runs/<time>-<what>]")] = None,
) -> None:
    """Bring up a memory service, load it, and judge it against the targets.

    Leaves run.json (everything), report.html, report.md, junit.xml, plots and .hlog files in the run's folder.
    """
    if rate is not None and users is not None:
        raise UsageError("--rate is open load and --users is closed: give one of them")
    if think is not None and users is None:
        raise UsageError("--think is of --users: give both")
    if corpus is not None and memories is not None:
        raise UsageError("--memories generates and --corpus reads: give one of them")
    if questions is not None and corpus is None:
        raise UsageError("--questions belong to a --corpus")
    host, port = parse_address(bind)
    seconds = parse_duration(duration) if duration else None
    asked = scenario or []
    chosen, micro, suite_name, found = choose(asked, suite, rate=rate, users=users, think=think, duration=seconds)
    now = datetime.now(UTC)
    what = suite_name or "-".join(Path(name).stem for name in asked)
    options = RunOptions(
        scenarios=chosen,
        micro=micro,
        suite=suite_name,
        url=checked_url(url),
        postgres=checked_postgres(postgres),
        seed=seed,
        memories=memories or (found.memories if found else DEFAULT_MEMORIES),
        corpus=corpus,
        questions=questions,
        out=out or RUNS / f"{now:%Y%m%d-%H%M%S}-{what[:40]}",
        command=["membench", *sys.argv[1:]],
        workers=workers,
        master=f"{host}:{port}" if master else None,
        steady=steady,
    )
    folders.prepare(options.out)
    raise typer.Exit(_run(options))


def _run(options: RunOptions) -> int:
    from harness.cli.display import Display
    from harness.cli.session import Session

    interrupts = Interrupts()
    with interrupts.installed():
        try:
            with Display(_stderr()) as display:
                record = Session(options, display, interrupts).run()
        except KeyboardInterrupt:
            _drop_if_empty(options.out)
            return Exit.INTERRUPTED
        except BaseException:
            _drop_if_empty(options.out)
            raise
        # What was measured is worth more than a quick end: from here on signals wait.
        with interrupts.passed_to(lambda: None):
            _print(record)
            _write(record, options.out)
    if record.status == "interrupted":
        return Exit.INTERRUPTED
    return Exit.INVALID if record.status == "failed" and record.verdict != "FAIL" else exit_status(record.verdict)


def _write(record: RunRecord, out: Path) -> None:
    """Save a record, its interval logs and its reports.

    Raises:
        MembenchError: they could not all be written.
    """
    from harness.core.hlog import write_hlog
    from harness.report.write import write_reports

    try:
        records.save(record, out)
        for result in record.scenarios:
            for log in result.operations:
                write_hlog(out / f"{result.name}.{log.name}.hlog", log, result.started_at)
        write_reports(record, out)
    except OSError as error:
        raise MembenchError(
            f"the run is over, but its folder {out} cannot be written: {error.strerror}",
            hint="the figures above are all that is left of it",
        ) from error
    folders.remember(out)
    _stderr().print(f"run folder: {out}", highlight=False, soft_wrap=True)


@app.command()
def show(
    run: Run = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON; times in microseconds.")] = False,
) -> None:
    """Show a run's verdicts and figures."""
    from harness.cli.summary import summary

    record = records.load(folders.find(run))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(summary(record)), indent=2).decode() + "\n")
    else:
        _print(record)


@app.command()
def report(run: Run = "latest") -> None:
    """Draw a run's reports again, from its record alone."""
    folder = folders.find(run)
    record = records.load(folder)
    from harness.report.write import write_reports

    try:
        for path in write_reports(record, folder):
            typer.echo(path)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from error


@app.command(epilog="Example:  membench worker --join 10.0.0.5:5557")
def worker(
    join: Annotated[str, typer.Option(metavar="HOST[:PORT]", help="Where 'membench run --master' listens.")],
) -> None:
    """Generate load here for a run that another host leads, until that run is over.

    One process and one core: start as many as this host has cores to spare. The service must be reachable from here
    under the same URL as from there.
    """
    from harness.cli.display import Display

    interrupts = Interrupts()
    with interrupts.installed(), Display(_stderr()) as display:
        raise typer.Exit(serve(join, interrupts, display.step))


@app.command(epilog="Exit status: 0 all PASS, 1 a FAIL, 3 an INVALID, 130 interrupted.")
def selftest(
    case: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CASE]...", help="Cases to check. Without any, all.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Its folder. [default: results/runs/<time>-selftest]")] = None,
) -> None:
    """Check membench itself on this machine: known misbehaviour in, known figures out; under 3 minutes.

    Real load processes against a server that freezes, stops or answers by a known distribution, and generators that
    freeze, are swamped or killed. PASS: the figure is what it must be. FAIL: it is not, and nothing on the machine
    explains it. INVALID: the machine does; the reason says how. Leaves selftest.json and selftest.svg.
    """
    from harness.cli.selftest import selftest as check

    folder = out or RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-selftest"
    raise typer.Exit(check(case or [], folder, _stdout(), _stderr()))


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the memory service.", min=1, max=65535)] = 3333,
    postgres: Postgres = "auto",
) -> None:
    """Bring up PostgreSQL and the reference memory service, until Ctrl-C."""
    from harness.cli.display import Display
    from harness.stack.stack import Stack, clear_leftovers

    interrupts = Interrupts()
    wanted = checked_postgres(postgres)
    with interrupts.installed(), Display(_stderr()) as display:
        try:
            clear_leftovers(display.step)
            with Stack(wanted, port=port, say=display.step) as stack:
                database = (
                    stack.postgres.url if stack.postgres.kind != "external" else hide_password(stack.postgres.url)
                )
                typer.echo(f"memory service: {stack.service.url}   PostgreSQL: {database}")
                display.step("Ctrl-C takes it down")
                stack.service.wait()
                raise MembenchError("the memory service ended by itself")
        except KeyboardInterrupt:
            display.step("down")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"membench {harness.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The root of all verbs."""


def _print(record: RunRecord) -> None:
    from harness.report.terminal import print_report

    print_report(record, _stdout())


def _stdout() -> Console:
    return Console()


def _stderr() -> Console:
    return Console(stderr=True)


def _drop_if_empty(out: Path) -> None:
    with contextlib.suppress(OSError):
        out.rmdir()


stress.register(app, _run)
gate.register(app, _stdout, _stderr)
for verb in (baseline, compare, history):
    verb.register(app)


def main(argv: list[str] | None = None) -> NoReturn:
    """The command `membench`."""
    try:
        app(args=argv)
    except MembenchError as error:
        sys.exit(_complain(str(error), error.hint, error.status))
    sys.exit(Exit.OK)


def _complain(message: str, hint: str, status: Exit) -> Exit:
    typer.echo(f"membench: {message}", err=True)
    if hint:
        typer.echo(f"  {hint}", err=True)
    return status
