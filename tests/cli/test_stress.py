"""`membench stress`: what it says beforehand and afterwards, and that nothing stays behind."""

import json
import signal
from collections.abc import Callable

import pytest

from tests.cli.conftest import Membench

pytestmark = pytest.mark.slow
ROUNDS = ["mixed", "mixed_pressed", "mixed_pressed_again", "mixed_again"]


def stress(url: str, *words: object) -> tuple[object, ...]:
    return ("stress", "--url", url, "--memories", 50, "--memory-most", 64, "--out", "out", *words)


def test_calm_pressed_pressed_calm(membench: Membench, fake_service: Callable[..., str]) -> None:
    status, output = membench.run(*stress(fake_service(), "--rate", 60, "--duration", "1s"))
    assert "four rounds (calm, pressed, pressed, calm) of 1 s each" in output
    assert "pressure: 50% of each core and up to 64 MiB of memory" in output
    assert status in (0, 3), output  # a second is short, and a pressed generator may lag
    record = json.loads((membench.cwd / "out" / "run.json").read_text())
    assert [result["scenario"]["name"] for result in record["scenarios"]] == ROUNDS
    said = [result["pressure"] for result in record["scenarios"]]
    assert said[0] == said[3] == ""
    assert all("CPU: 50% of each of" in text and "memory: 64 MiB held" in text for text in said[1:3])
    costs = {(cost["operation"], cost["figure"]): cost for cost in record["pressure_costs"]}
    assert {operation for operation, _ in costs} == {"create", "search", "get"}
    median = costs["get", "response P50"]
    assert median["calm"] > 0
    assert median["pressed"] > 0
    assert "What pressure on the host cost" in output
    for name in ("report.html", "report.md"):
        assert "What pressure on the host cost" in (membench.cwd / "out" / name).read_text()
    assert membench.left_behind() == []


def test_ctrl_c_ends_the_pressure(membench: Membench, fake_service: Callable[..., str]) -> None:
    process = membench.start(*stress(fake_service(), "--cpu-pressure", "--rate", 20, "--duration", "1s"))
    said = membench.read_until(process, "mixed_pressed: ")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said + output
    assert membench.left_behind() == []


def test_both_kinds_of_load_are_one_too_many(membench: Membench) -> None:
    status, output = membench.run("stress", "--rate", 10, "--users", 10)
    assert status == 2
    assert "give one of them" in output
