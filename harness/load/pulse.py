"""What a worker tells while it works: its answers of the last moments, and its own CPU time."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.core.histogram import Histogram
from harness.load.job import Phase, Progress
from harness.load.messages import Pulse, Tick
from harness.load.users import Session

BATCH = 0.25
"""Seconds of a batch for the test of steadiness."""
SECOND = 1.0


class Meter:
    """Reads a session's recorders from time to time.

    Args:
        merged: whether others' answers are merged with these, so that a histogram is wanted.

    Attributes:
        measured: share of one core used in each second of the measure phase.
        whole: share of one core used over the whole of it, however short; 0 before its end.
    """

    def __init__(self, *, merged: bool) -> None:
        self._merged = merged
        self.measured: list[float] = []
        self.whole = 0.0
        self.begin_phase()
        self._batch = self._second
        self._pulsed: list[int] = []
        self._seen: list[int] = []

    def begin_phase(self) -> None:
        """A phase begins now, and a second with it, so that none belongs to two."""
        self._phase = self._second, self._cpu = time.perf_counter_ns(), time.process_time()

    def end_phase(self) -> None:
        """The measure phase ends now."""
        began, cpu = self._phase
        wall = (time.perf_counter_ns() - began) / 1e9
        self.whole = (time.process_time() - cpu) / wall if wall > 0 else 0.0

    def read(self, session: Session, phase: Phase) -> Iterator[Pulse | Tick]:
        """What there is to tell now: a pulse each quarter of a second of warm-up, a tick each second."""
        now = time.perf_counter_ns()
        if phase == "warm-up" and now - self._batch >= BATCH * 1e9:
            self._batch = now
            recent, self._pulsed = _since(session, self._pulsed)
            yield Pulse(len(recent), float(np.log(np.maximum(recent, 1.0)).sum()))
        wall = (now - self._second) / 1e9
        if wall >= SECOND:
            yield Tick(self._progress(session, phase, now, wall))

    def _progress(self, session: Session, phase: Phase, now: int, wall: float) -> Progress:
        cpu = time.process_time()
        share = (cpu - self._cpu) / wall
        self._second, self._cpu = now, cpu
        if phase == "measure":
            self.measured.append(share)
        recent, self._seen = _since(session, self._seen)
        phases = session.phases
        begin, total = {
            "warm-up": (session.start, phases.longest_warmup),
            "measure": (session.measure_start, (session.measure_end - session.measure_start) / 1e9),
            "drain": (session.measure_end, phases.drain),
        }[phase]
        return Progress(
            phase=phase,
            elapsed=max(now - begin, 0) / 1e9,
            total=total,
            rate=len(recent) / wall,
            p99_us=float(np.percentile(recent, 99)) if recent else None,
            errors=sum(sum(recorder.error_counts.values()) for recorder in session.recorders),
            skipped=sum(recorder.skipped for recorder in session.recorders),
            in_flight=session.in_flight,
            cpu=share,
            rss_mib=resident_mib(),
            responses=_encoded(recent) if self._merged else "",
        )


def resident_mib() -> float:
    """The memory that this process holds now, MiB; 0 where the kernel does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * resource.getpagesize() / 2**20


def _since(session: Session, seen: list[int]) -> tuple[list[float], list[int]]:
    """Response times (microseconds) of all operations that were recorded since, and how many there are by now."""
    seen = seen or [0] * len(session.recorders)
    values: list[float] = []
    for recorder, index in zip(session.recorders, seen, strict=True):
        values += recorder.responses_since(index)
    return values, [len(recorder) for recorder in session.recorders]


def _encoded(values: list[float]) -> str:
    histogram = Histogram()
    histogram.record(values)
    return histogram.encode()
