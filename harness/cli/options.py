"""What a run was asked to do."""

from dataclasses import dataclass, field
from pathlib import Path

import scenarios
from harness.core.errors import UsageError
from harness.core.scenario import Scenario, Suite, load_scenario, load_suites
from harness.load.pressure import Wanted

MICRO = "micro"
DEFAULT_SUITE = "smoke"
DEFAULT_MEMORIES = 5000
ATTEMPTS_AT_ONCE = 2
"""A phase that cannot be believed for a passing reason is repeated once,"""
ATTEMPTS = 3
"""and once more at the end of the run: what robs a machine of its processor often lasts longer than a phase."""
RUNS = Path("results") / "runs"


@dataclass(frozen=True)
class RunOptions:
    """The options of `membench run`, checked.

    Attributes:
        scenarios: to run, in order, with their final load.
        micro: whether the micro-benchmarks run too.
        suite: whose phases they have; empty for none.
        url: of a service that is there already; None brings up the reference one.
        postgres: auto, container, embedded, or a URL.
        seed: of everything random.
        memories: how many to generate, where no corpus is given.
        corpus: file of memories.
        questions: file of questions.
        workers: load processes that share the load.
        master: where they join this run, HOST:PORT; None starts them here.
        out: the run's folder.
        command: the command line.
        pressure: what presses on the host during which scenario.
        steady: whether the host is calmed for the run.
    """

    scenarios: list[Scenario]
    micro: bool
    suite: str
    url: str | None
    postgres: str
    seed: int
    memories: int
    corpus: Path | None
    questions: Path | None
    out: Path
    command: list[str]
    workers: int = 1
    master: str | None = None
    pressure: dict[str, Wanted] = field(default_factory=dict)
    steady: bool = False


def checked_postgres(value: str) -> str:
    """What `--postgres` got.

    Raises:
        UsageError: it is no way to get PostgreSQL.
    """
    if value in ("auto", "container", "embedded") or value.startswith(("postgres://", "postgresql://")):
        return value
    raise UsageError(
        f"'{value}' is no way to get PostgreSQL", hint="--postgres takes auto, container, embedded or postgresql://..."
    )


def checked_url(value: str | None) -> str | None:
    """What `--url` got.

    Raises:
        UsageError: it is no URL.
    """
    if value is not None and not value.startswith(("http://", "https://")):
        raise UsageError(f"'{value}' is no URL", hint="it begins with http:// or https://")
    return value


def choose(
    names: list[str],
    suite: str | None,
    *,
    rate: float | None,
    users: int | None,
    duration: float | None,
    think: float | None = None,
) -> tuple[list[Scenario], bool, str, Suite | None]:
    """The scenarios that names, files and a suite stand for.

    Returns:
        the scenarios, whether micro-benchmarks are among them, the suite's name or "", and the suite.

    Raises:
        UsageError: there is no such suite or scenario; lists those there are.
    """
    suites = load_suites(scenarios.SUITES)
    if suite is None and not names:
        suite = DEFAULT_SUITE
    if suite is not None and suite not in suites:
        raise UsageError(f"there is no suite '{suite}'", hint=f"suites are {', '.join(suites)}")
    chosen = suites[suite] if suite else None
    wanted = names or (chosen.scenarios if chosen else [])
    found = [
        load_scenario(_file(name)).in_suite(suite).under(rate=rate, users=users, think=think, duration=duration)
        for name in dict.fromkeys(wanted)
        if name != MICRO
    ]
    alike = {one.name for one in found if sum(one.name == other.name for other in found) > 1}
    if alike:
        raise UsageError(f"two scenarios have the name '{alike.pop()}'", hint="give one of them another, and its file")
    return found, MICRO in wanted, suite or "", chosen


def _file(name: str) -> Path:
    """A scenario's file: one of ours by its name, or anybody's by its path."""
    ours = scenarios.paths()
    if name.endswith(".toml"):
        return Path(name)
    if name not in ours:
        hint = f"scenarios are {', '.join([*ours, MICRO])}; one of your own is given by its file: mine.toml"
        raise UsageError(f"there is no scenario '{name}'", hint=hint)
    return ours[name]
