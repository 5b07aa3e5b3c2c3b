"""The load process (`python -m harness.load.process FOLDER`): one job, led by a conductor, and one report.

`--worker HOST PORT FOLDER PARENT` is one of several workers that take their orders from such a process, and
`--dismiss HOST:PORT N` tells workers on other hosts that no more jobs will come.
"""

import contextlib
import logging
import os
import resource
import signal
import sys
from pathlib import Path

import gevent
import msgspec

from harness.core.errors import LoadError
from harness.core.scenario import OpenArrivals, Operation, Scenario
from harness.load.conductor import Conductor, nothing
from harness.load.job import DISMISSED, JOB_FILE, NOT_NEEDED, REPORT_FILE, Alive, Line, LoadJob, LoadReport, encode_line
from harness.load.local import Alone
from harness.load.master import Master
from harness.load.member import Member
from harness.load.parent import end_with

_GOODBYE = 10.0
_BREATH = 5.0


def conduct(job: LoadJob, folder: Path) -> LoadReport:
    """Run a job, here or with a crew."""
    conductor = Conductor(job.scenario.phases, job.workers, say)
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, conductor.stop)
    gevent.spawn(_watch_parent, conductor)
    gevent.spawn(_breathe)
    with contextlib.ExitStack() as undo:
        if job.workers == 1 and not job.join:
            alone = Alone(job, conductor.hear)
            undo.callback(alone.quit)
            return conductor.conduct(alone)
        master = undo.enter_context(Master(job, folder, conductor.hear, say))
        master.gather(lambda: conductor.stopped)
        return conductor.conduct(master)


def _watch_parent(conductor: Conductor) -> None:
    """A driver that is gone wants nothing more."""
    parent = os.getppid()
    while os.getppid() == parent:
        gevent.sleep(1)
    conductor.stop()


def _breathe() -> None:
    """Tell the driver now and then that this process lives, also while it waits for workers or their reports."""
    while True:
        gevent.sleep(_BREATH)
        say(Alive())


def say(line: Line | Alive) -> None:
    """Tell the driver."""
    sys.stdout.buffer.write(encode_line(line))
    sys.stdout.buffer.flush()


def run(folder: Path) -> None:
    """Run the job in a folder and leave the report there."""
    job = msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=LoadJob)
    try:
        report = conduct(job, folder)
        if not job.keep_parts:
            report.parts.clear()
    except LoadError as error:
        report = nothing(job.workers, f"{error}" + (f": {error.hint}" if error.hint else ""))
    partial = folder / (REPORT_FILE + ".part")
    partial.write_bytes(msgspec.json.encode(report))
    partial.replace(folder / REPORT_FILE)


def work(host: str, port: int, folder: Path, parent: int) -> int:
    """Do one job of a master's. Returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the master decides
    end_with(parent)
    try:
        member = Member(host, port, folder)
        member.serve()
    except ConnectionError:
        return 1
    if member.dismissed:
        return DISMISSED
    return 0 if member.worked else NOT_NEEDED


def dismiss(address: str, workers: int) -> None:
    """Let the workers of a run go that is over."""
    scenario = Scenario("noop", "", "", OpenArrivals(rate=1), (Operation("noop", "noop"),))
    job = LoadJob(url="", scenario=scenario, seed=0, tapes={}, workers=workers, bind=address, join=True)
    # Where even the port could not be had, nobody waits there.
    with contextlib.suppress(LoadError), Master(job, Path(), lambda worker, news: None, lambda line: None) as master:
        master.dismiss(_GOODBYE)


def main(words: list[str]) -> int:
    """Dispatch."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    # As Locust's own command does: each request in flight is an open file.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    match words:
        case ["--worker", host, port, folder, parent]:
            return work(host, int(port), Path(folder), int(parent))
        case ["--dismiss", address, workers]:
            dismiss(address, int(workers))
        case [folder]:
            run(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
