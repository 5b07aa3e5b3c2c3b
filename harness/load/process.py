"""The load process (`python -m harness.load.process FOLDER`): one job, led by a conductor, and one report.

`--series` does job after job, each in a folder that standard input names, until that ends. `--worker HOST PORT FOLDER
PARENT` is one of several workers that take their orders from such a process, and `--dismiss HOST:PORT N` tells workers
on other hosts that no more jobs will come.
"""

import contextlib
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import msgspec
from gevent.fileobject import FileObject

from harness.core.errors import LoadError
from harness.core.scenario import OpenArrivals, Operation, Scenario
from harness.load.conductor import Conductor, nothing
from harness.load.job import (
    DISMISSED,
    JOB_FILE,
    NOT_NEEDED,
    REPORT_FILE,
    Alive,
    Line,
    LoadJob,
    LoadReport,
    Ready,
    encode_line,
)
from harness.load.local import Alone
from harness.load.master import Master
from harness.load.member import Member
from harness.load.parent import end_with

_GOODBYE = 10.0
_BREATH = 5.0
_COLLECTED = 20
"""Jobs of a series after which their remains are collected."""


def conduct(job: LoadJob, folder: Path) -> LoadReport:
    """Run a job, here or with a crew."""
    conductor = Conductor(job.scenario.phases, job.workers, say, job.delay)
    with _attended(conductor), contextlib.ExitStack() as undo:
        if job.workers == 1 and not job.join:
            alone = Alone(job, conductor.hear)
            undo.callback(alone.quit)
            return conductor.conduct(alone)
        master = undo.enter_context(Master(job, folder, conductor.hear, say))
        master.gather(lambda: conductor.stopped)
        return conductor.conduct(master)


@contextlib.contextmanager
def _attended(conductor: Conductor) -> Iterator[None]:
    """Within the block signals end the job early, and so does the driver's death."""
    handlers = [gevent.signal_handler(number, conductor.stop) for number in (signal.SIGINT, signal.SIGTERM)]
    watchers = [gevent.spawn(_watch_parent, conductor), gevent.spawn(_breathe)]
    try:
        yield
    finally:
        gevent.killall(watchers)
        for handler in handlers:
            handler.cancel()


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


def say(line: Line | Alive | Ready) -> None:
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


def series() -> None:
    """Run one job after the other: the folder of each is a line of standard input, and its end is told."""
    for number, line in enumerate(FileObject(sys.stdin.buffer, "rb"), 1):
        run(Path(os.fsdecode(line.rstrip(b"\n"))))
        # Each job froze what there was, the last one's remains too. To look through it all takes 50 ms.
        gc.unfreeze()
        if number % _COLLECTED == 0:
            gc.collect()
        say(Ready())


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
        case ["--series"]:
            series()
        case [folder]:
            run(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
