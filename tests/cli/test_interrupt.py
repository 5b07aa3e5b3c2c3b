"""Ctrl-C and kill in every phase: what was measured is kept and marked, and nothing stays behind."""

import json
import signal
from collections.abc import Callable

import pytest

from tests.cli.conftest import Membench, judged

pytestmark = pytest.mark.slow


def run(memories: int, seconds: int) -> tuple[object, ...]:
    data = ("--memories", memories, "--duration", f"{seconds}s")
    return ("run", "working_access", "noop", "--postgres", "embedded", *data, "--out", "out")


@pytest.mark.parametrize(
    ("moment", "measured", "number", "words"),
    [
        ("starting the embedded PostgreSQL", {0}, signal.SIGINT, run(300, 8)),
        ("starting the memory service", {0}, signal.SIGTERM, run(300, 8)),
        ("loading 3,000", {0}, signal.SIGINT, run(3_000, 8)),
        ("working_access: 150/s", {0, 1}, signal.SIGINT, run(300, 8)),  # before or after its load process is there
        ("working_access: measure", {1}, signal.SIGINT, run(300, 8)),
        ("working_access: measure", {1}, signal.SIGTERM, run(300, 8)),
        ("noop: 200/s", {1, 2}, signal.SIGINT, run(300, 2)),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "name", ""),
)
def test_an_interrupt(
    membench: Membench, moment: str, measured: set[int], number: signal.Signals, words: tuple[object, ...]
) -> None:
    process = membench.start(*words)
    membench.read_until(process, moment)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert membench.left_behind() == []
    record = json.loads((membench.cwd / "out" / "run.json").read_text())
    assert record["status"] == "interrupted"
    assert len(record["scenarios"]) in measured
    status, shown = membench.run("show", "out", "--json")
    assert status == 0
    assert json.loads(shown)["status"] == "interrupted"


def test_what_a_killed_run_left_is_cleared_by_the_next(membench: Membench) -> None:
    process = membench.start(*run(300, 8))
    # Its load process is there by then.
    membench.read_until(process, "working_access: measure")
    process.kill()
    process.wait()
    left = {one.name() for one in membench.processes()}
    assert "postgres" in left
    status, output = membench.run(
        "run", "noop", "--postgres", "embedded", "--rate", 50, "--duration", "1s", "--out", "next"
    )
    assert "cleared what a killed run had left behind" in output
    judged(status, output)
    assert membench.left_behind() == []


def test_a_killed_run_keeps_its_finished_scenarios_and_says_that_it_was_killed(
    membench: Membench, fake_service: Callable[..., str]
) -> None:
    url = fake_service()
    process = membench.start("run", "noop", "micro", "--url", url, "--duration", "1s", "--out", "killed")
    membench.read_until(process, "micro-benchmarks")
    process.kill()
    process.wait()
    record = json.loads((membench.cwd / "killed" / "run.json").read_text())
    assert record["status"] == "failed"
    assert "killed" in record["failure"]
    assert len(record["scenarios"]) == 1


def test_up_until_ctrl_c(membench: Membench, free_tcp_port: Callable[[], int]) -> None:
    port = free_tcp_port()
    process = membench.start("up", "--postgres", "embedded", "--port", port)
    assert f"http://127.0.0.1:{port}" in membench.read_until(process, "memory service:")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert membench.left_behind() == []
