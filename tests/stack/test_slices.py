"""Short slices: what the kernel says of them, here and in a child."""

import subprocess
import sys

import pytest

ASK = "from harness.stack import slices; print(slices.shorten())"
CHILD = f"{ASK}; import subprocess, sys; sys.stdout.flush(); subprocess.run(['cat', '/proc/self/sched'])"


def test_children_get_the_slices_that_the_kernel_gives() -> None:
    # In a process of its own: slices stay, and the other tests are to run with the kernel's.
    said = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True).stdout
    given, _, told = said.partition("\n")
    assert given in ("True", "False")
    if given == "False":
        pytest.skip("this kernel gives no short slices")
    slices = [line.split(":")[1].strip() for line in told.splitlines() if line.startswith("se.slice")]
    if not slices:
        pytest.skip("this kernel does not tell of slices in /proc")
    assert slices == ["100000"]


def test_an_unknown_machine_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.stack import slices

    monkeypatch.setattr("platform.machine", lambda: "vax")
    assert slices.shorten() is False
