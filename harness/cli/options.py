"""What a run was asked to do."""

from dataclasses import dataclass
from pathlib import Path

import scenarios
from harness.core.errors import UsageError
from harness.core.scenario import Scenario, Suite, load_scenario, load_suites

MICRO = "micro"
DEFAULT_SUITE = "smoke"
DEFAULT_MEMORIES = 5000
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
        out: the run's folder.
        command: the command line.
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
    steady: bool = False


def choose(
    names: list[str], suite: str | None, *, rate: float | None, users: int | None, duration: float | None
) -> tuple[list[Scenario], bool, str, Suite | None]:
    """The scenarios that names and a suite stand for.

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
    files = scenarios.paths()
    for name in wanted:
        if name != MICRO and name not in files:
            raise UsageError(f"there is no scenario '{name}'", hint=f"scenarios are {', '.join([*files, MICRO])}")
    found = [
        load_scenario(files[name]).in_suite(suite).under(rate=rate, users=users, duration=duration)
        for name in dict.fromkeys(wanted)
        if name != MICRO
    ]
    return found, MICRO in wanted, suite or "", chosen
