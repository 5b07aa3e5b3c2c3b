"""`--steady`: the host calmed for the length of a run, and the record told of it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from harness.cli.options import ATTEMPTS, RunOptions
from harness.core.record import RunRecord
from harness.stack.affinity import Role
from harness.stack.calm import Calm
from harness.stack.ledger import Ledger
from harness.stack.postgres import Say
from harness.stack.stack import Stack

_BESIDE: Final = 3600.0
"""Seconds that everything but the phases themselves takes at the most: loading, micro-benchmarks."""


@contextlib.contextmanager
def calmed(
    options: RunOptions, record: RunRecord, ledger: Ledger, say: Say, stack: Stack | None = None
) -> Iterator[Callable[[int], None]]:
    """Calm the host for the length of the block, where that was asked for.

    Gives what holds a load process, by its id, to the generator's cores.

    Args:
        options: of the run.
        record: told what was done, and what could not be.
        ledger: of the run.
        say: told the same.
        stack: what was brought up; None leaves all but the generator alone.
    """
    if not options.steady:
        yield lambda pid: None
        return
    parts: dict[Role, int] = {}
    missing: dict[Role, str] = {}
    if stack is not None:
        parts["service"] = stack.service.pid
        if stack.postgres.pid is not None:
            parts["postgres"] = stack.postgres.pid
        else:
            missing["postgres"] = "its processes are not this run's, or not to be seen from here"
    phases = [scenario.phases for scenario in options.scenarios]
    seconds = _BESIDE + ATTEMPTS * sum(one.longest_warmup + one.measure + one.drain for one in phases)
    with Calm(ledger, seconds=seconds, parts=parts, missing=missing) as calm:
        record.calmed = calm.said  # one list: what is said later, up to the end, stands in it too
        for sentence in calm.said:
            say(f"steady: {sentence}")
        yield calm.pin
