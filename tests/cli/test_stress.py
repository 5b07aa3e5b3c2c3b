"""`membench stress`: what it says beforehand and afterwards, and that nothing stays behind."""

import json
import signal
from collections.abc import Callable

import pytest

from tests.cli.conftest import Membench

pytestmark = pytest.mark.slow
WORDS = ("--memories", 50, "--memory-most", 64, "--rate", 60, "--duration", "1s", "--out", "out")


def test_calm_and_pressed_until_ctrl_c(membench: Membench, fake_service: Callable[..., str]) -> None:
    process = membench.start("stress", "--url", fake_service(), *WORDS)
    said = membench.read_until(process, "mixed_pressed_again: ")
    assert "four rounds (calm, pressed, pressed, calm) of 1 s each" in said
    assert "pressure: 50% of each core and up to 64 MiB of memory" in said
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert membench.left_behind() == []
    record = json.loads((membench.cwd / "out" / "run.json").read_text())
    calm, pressed, *_ = record["scenarios"]
    assert (calm["scenario"]["name"], pressed["scenario"]["name"]) == ("mixed", "mixed_pressed")
    assert calm["pressure"] == ""
    assert "CPU: 50% of each of" in pressed["pressure"]
    assert "memory: 64 MiB held" in pressed["pressure"]
    costs = {(cost["operation"], cost["figure"]): cost for cost in record["pressure_costs"]}
    assert {operation for operation, _ in costs} == {"create", "search", "get"}
    assert costs["get", "rate"]["calm"] > 0
    assert costs["get", "rate"]["pressed"] > 0
    shown = [output, *((membench.cwd / "out" / name).read_text() for name in ("report.html", "report.md"))]
    assert all("What pressure on the host cost" in text for text in shown)


def test_both_kinds_of_load_are_one_too_many(membench: Membench) -> None:
    status, output = membench.run("stress", "--rate", 10, "--users", 10)
    assert status == 2
    assert "give one of them" in output
