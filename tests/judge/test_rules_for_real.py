"""Each rule that makes a figure INVALID, caused: real load processes, a real service, the session, the judge.

What cannot be caused is injected as deep down as can be: clocks that are set and a recorder that loses requests into
the load process's own interpreter, steal into the kernel's counters as they are read.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from harness.cli import measuring as measurings
from harness.cli.display import Display
from harness.cli.interrupt import Interrupts
from harness.cli.measuring import Measuring, UnderTest
from harness.cli.options import RunOptions
from harness.core.readings import WarmUp
from harness.core.record import ScenarioResult, TargetResult
from harness.core.scenario import OpenArrivals, Operation, Phases, Scenario
from harness.core.targets import Target
from harness.core.verdict import Verdict
from harness.corpus import DatasetBuilder, GeneratedCorpus
from harness.judge import doubt
from harness.judge.targets import judge_operation, judge_target
from harness.load.driver import LoadProcess
from harness.load.job import Line, PhaseChange
from harness.stack.ledger import Ledger

pytestmark = pytest.mark.slow
OPERATION = "ask"
DATASET = DatasetBuilder(GeneratedCorpus(1, seed=1, now=datetime(2026, 1, 1, tzinfo=UTC))).build()
CALM_ATTEMPTS = 3
"""Where a rule shows only without lag, a machine with other work gets more than one chance."""
Measure = Callable[..., ScenarioResult]


def target(metric: str = "latency", **changes: Any) -> Target:
    """A target that the fake service meets easily, unless it is told otherwise."""
    usual = {"percentile": 90.0, "clock": "response", "better": "lower", "target": 20_000, "critical": 40_000}
    if metric == "rate":
        usual = {"better": "higher", "target": 1.0, "critical": 0.5}
    fields = {"operation": OPERATION, "unit": "ms", "method": "", **usual, **changes}
    return Target(id="it", title="It", metric=metric, scenario="it", **fields)


def invalid(result: ScenarioResult, *words: str, of: Target | None = None) -> TargetResult:
    """Asserts that a target is INVALID for a reason with these words, says what to try, and blames no service."""
    judged = judge_target(of or target(), result)
    assert judged.verdict == Verdict.INVALID, judged
    assert any(all(word in reason for word in words) for reason in judged.reasons), judged.reasons
    assert judged.hints
    return judged


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Measures a scenario as `membench run --url` does; `during` is called with the load process as it is measured."""
    happen: list[Callable[[LoadProcess], None]] = []

    class Watched(LoadProcess):
        def lines(self) -> Iterator[Line]:
            for line in super().lines():
                if isinstance(line, PhaseChange) and line.phase == "measure" and happen:
                    happen.pop()(self)
                yield line

    monkeypatch.setattr(measurings, "LoadProcess", Watched)
    with Ledger(tmp_path / "ledger") as ledger:

        def run(
            url: str, scenario: Scenario, *, during: Callable[[LoadProcess], None] | None = None, calm: bool = False
        ) -> ScenarioResult:
            options = RunOptions([scenario], False, "", url, "auto", 1, 1, None, None, tmp_path / "out", [])
            measuring = Measuring(options, Display(Console(quiet=True)), Interrupts(), [])
            system = UnderTest(url, ledger, None, lambda pid: None)
            for _ in range(CALM_ATTEMPTS):
                happen[:] = [during] if during else []
                result, _ = measuring.attempt(system, scenario, DATASET, 1)
                if not calm or not list(doubt.of_lag(result, OPERATION)):
                    break
            return result

        yield run


def asking(rate: float, seconds: float = 2.0, *, cap: int = 1024, drain: float = 5.0, floor: bool = False) -> Scenario:
    """Open load on the fake service, and an operation so rare that it never comes."""
    return Scenario(
        name="it",
        title="",
        description="",
        arrivals=OpenArrivals(rate=rate, process="uniform", max_in_flight=cap),
        operations=(Operation(OPERATION, "noop"), Operation("rare", "noop", weight=1e-9)),
        floor=floor,
        phases=Phases(warmup=0.3, warmup_most=0.3, measure=seconds, drain=drain),
    )


def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Makes every Python started from here on run some code first."""
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def test_a_healthy_run_is_judged_and_what_it_cannot_tell_is_invalid(
    measure: Measure, fake_service: Callable[..., str]
) -> None:
    result = measure(fake_service("--delays", "100x1", "--untimed"), asking(100, floor=True), calm=True)
    if list(doubt.of_lag(result, OPERATION)):
        pytest.skip("other work kept the generator from its plan, three times")
    judged = judge_target(target(), result)
    assert (judged.verdict, judged.reasons) == (Verdict.PASS, [])
    result.warmup = WarmUp(seconds=0.3, steady=False, test="", dropped=0)
    assert judge_target(target(), result).verdict == Verdict.PASS
    invalid(result, "200 requests are too few for a P99, which needs 1000", of=target(percentile=99.0))
    invalid(result, "2.0 s are too short for a rate", of=target("rate"))
    invalid(result, "/s were offered, and the service kept up", of=target("rate", target=5000.0, critical=1.0))
    invalid(result, "no request was sent: nothing was measured", of=target(operation="rare"))
    hidden = target(floor=True, target=80.0, critical=600.0)
    judged = invalid(result, "the floor's own P90 is", "does not tell its own time", of=hidden)
    assert any("Server-Timing" in hint for hint in judged.hints)


def test_a_service_that_freezes_over_the_cap(measure: Measure, fake_service: Callable[..., str]) -> None:
    result = measure(fake_service("--freeze", 1.2, "--at", 1), asking(150, 3.0, cap=100, floor=True))
    tally = result.operation(OPERATION).tally
    judged = judge_operation(result, result.operation(OPERATION))
    assert judged.verdict == Verdict.INVALID
    assert f"{tally.skipped} of 450 requests were not sent: too many were in flight" in judged.reasons
    assert tally.skipped
    if list(doubt.of_lag(result, OPERATION)):
        pytest.skip(f"other work, so the floor is not looked at: {judged.reasons}")
    invalid(
        result,
        "the no-op endpoint stalled as well (P95",
        of=target(percentile=95.0, floor=True, target=10.0, critical=20.0),
    )


def test_a_generator_that_freezes(measure: Measure, fake_service: Callable[..., str]) -> None:
    def freeze(process: LoadProcess) -> None:
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(0.8, os.kill, (process.pid, signal.SIGCONT)).start()

    result = measure(fake_service("--delays", "50x1"), asking(600, cap=100), during=freeze)
    invalid(result, "the generator lagged: 1% of requests were sent more than", " ms late")
    sent = result.achieved_rate(OPERATION)
    decided = target("rate", target=sent + 1, critical=sent + 0.5)
    invalid(result, "came to their turn late and were skipped: a stall of the generator decides", of=decided)


def test_a_generator_out_of_cpu(measure: Measure, fake_service: Callable[..., str]) -> None:
    def first(process: LoadProcess) -> None:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, -15)  # before the tests' neighbours

    result = measure(fake_service(), asking(8000, 4.0, cap=1024, drain=0.1), during=first)
    if result.generator.cpu_mean <= doubt.CPU_BOUND:
        pytest.skip(f"other work left the generator {result.generator.cpu_mean:.0%} of a core")
    invalid(result, "the generator used", "% of its core")


def test_a_generator_that_sleeps_through_the_end_of_its_plan(
    measure: Measure, fake_service: Callable[..., str]
) -> None:
    def freeze(process: LoadProcess) -> None:
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(2.5, os.kill, (process.pid, signal.SIGCONT)).start()

    result = measure(fake_service("--delays", "10x1"), asking(3000, 1.0, cap=4096, drain=0.1), during=freeze)
    invalid(result, "the generator failed: the plan was not offered to its end in time")


def test_a_generator_that_is_killed(measure: Measure, fake_service: Callable[..., str]) -> None:
    def kill(process: LoadProcess) -> None:
        os.kill(process.pid, signal.SIGKILL)

    result = measure(fake_service(), asking(100), during=kill)
    invalid(result, "the generator failed", "killed by SIGKILL")
    invalid(result, "1 of 1 load processes did not report")


def test_a_run_that_is_interrupted(measure: Measure, fake_service: Callable[..., str]) -> None:
    result = measure(fake_service(), asking(100, 30), during=LoadProcess.interrupt)
    invalid(result, "interrupted after 0.", " s of 30 s")


def test_a_recorder_that_loses_requests(
    measure: Measure, fake_service: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
from harness.core.recorder import OperationRecorder as R
keep = R.record
R.record = lambda self, due, *rest: due // 1000 % 10 and keep(self, due, *rest)
"""
    fault(tmp_path, monkeypatch, code)
    result = measure(fake_service(), asking(333))
    assert result.operation(OPERATION).tally.censored > 0
    judged = invalid(result, "requests ended but were not recorded")
    assert any("defect of membench" in hint for hint in judged.hints)


def test_clocks_that_part_and_a_processor_that_is_taken_away(
    measure: Measure, fake_service: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = tmp_path / "now"
    code = f"""
import os, time
wall, read = time.time, time.clock_gettime
later = lambda: 2.0 * os.path.exists({str(now)!r})
time.time = lambda: wall() + later()
time.clock_gettime = lambda clock: read(clock) + later() * (clock == time.CLOCK_BOOTTIME)
"""
    fault(tmp_path, monkeypatch, code)
    times, begun = psutil.cpu_times, time.monotonic()

    def stolen(percpu: bool = False) -> Any:
        now = times(percpu)
        if percpu:
            return now
        return now._replace(steal=now.steal + time.monotonic() - begun)

    monkeypatch.setattr(psutil, "cpu_times", stolen)
    result = measure(fake_service(), asking(100), during=lambda process: threading.Timer(0.5, now.touch).start())
    invalid(result, "the wall clock jumped by +2.00 s")
    invalid(result, "the host slept for 2.00 s")
    invalid(result, "the hypervisor took", "% of the CPU time")
