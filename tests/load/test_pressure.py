"""Pressure: bounded in size and time, and gone with whoever started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from harness.core.errors import LoadError
from harness.load import burden
from harness.load import pressure as pressures
from harness.load.pressure import Pressure, Wanted

pytestmark = pytest.mark.slow
MOST_MIB = 192


def start(kind: str, amount: float, seconds: float) -> subprocess.Popen[bytes]:
    words = [kind, str(amount), str(seconds), str(os.getpid())]
    return subprocess.Popen([sys.executable, "-m", "harness.load.burden", *words], stdout=subprocess.PIPE)


def test_where_memory_comes_slowly_it_holds_what_came_in_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(burden, "GROWS", -1.0)
    monkeypatch.setattr(burden, "_die_first", lambda: None)
    alive = iter([True, True, False])
    burden.memory(1_024, lambda: next(alive))
    assert capsys.readouterr().out.split() == ["0"]


def gone(pids: list[int], within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_its_parent_however_that_ends(number: signal.Signals) -> None:
    code = (
        "import os, time; from harness.load.pressure import Pressure, Wanted\n"
        f"pressure = Pressure(Wanted(cpu=True, memory=True, memory_most_mib={MOST_MIB}), 60, dict(os.environ))\n"
        "with pressure:\n"
        "    print(*(p.pid for p in pressure._all), flush=True)\n"
        "    time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 1 + (psutil.cpu_count() or 1)
    assert all(psutil.pid_exists(pid) for pid in pids)
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    assert gone(pids)


@pytest.mark.parametrize(("kind", "amount"), [("cpu", 0.1), ("memory", 64)])
def test_it_ends_by_itself_when_its_time_is_over(kind: str, amount: float) -> None:
    process = start(kind, amount, 0.5)
    assert process.communicate(timeout=30)[0]
    assert process.returncode == 0


def test_one_whose_parent_is_another_ends_at_once() -> None:
    words = [sys.executable, "-m", "harness.load.burden", "cpu", "0.1", "60", "1"]
    assert subprocess.run(words, timeout=30, stdout=subprocess.DEVNULL).returncode == 0


def test_it_holds_what_it_says_and_no_more() -> None:
    with Pressure(Wanted(memory=True, memory_most_mib=MOST_MIB + 10), 60, os.environ) as pressure:
        (process,) = pressure._memory
        held = psutil.Process(process.pid).memory_info().rss / 2**20
    assert MOST_MIB <= held < MOST_MIB + burden.CHUNK_MIB
    assert pressure.said == f"memory: {MOST_MIB} MiB held"
    assert gone([process.pid])


def test_the_processor_time_that_it_took_is_said() -> None:
    with Pressure(Wanted(cpu=True), 60, os.environ) as pressure:
        time.sleep(1)
    assert pressure.said.startswith(f"CPU: 50% of each of {psutil.cpu_count()} cores wanted, ")
    assert 0 < int(pressure.said.split("wanted, ")[1].split("%")[0]) <= 60


def test_nothing_wanted_does_nothing() -> None:
    with Pressure(Wanted(), 60, os.environ) as pressure:
        assert pressure._all == []
    assert pressure.said == ""


def test_a_part_of_it_that_ended_early_is_told() -> None:
    with Pressure(Wanted(memory=True, memory_most_mib=64), 60, os.environ) as pressure:
        pressure._all[0].kill()
        pressure._all[0].wait()
    assert "1 of 1 pressing processes ended before the load did" in pressure.said


def test_pressure_that_does_not_stand_in_time_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressures, "SETTLES", 0.0)
    pressure = Pressure(Wanted(cpu=True), 60, os.environ)
    with pytest.raises(LoadError, match="did not stand"), pressure:
        pass
    assert gone([process.pid for process in pressure._all])


class Machine:
    """A machine whose memory others take, one step with each look at it."""

    def __init__(self, *available: float) -> None:
        self.available = list(available)

    def look(self) -> tuple[float, float]:
        return 8192.0, self.available.pop(0)

    def alive(self) -> bool:
        return bool(self.available)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """What a memory burden tells on a machine with so much available, look by look. Holds little, and really."""

    def run(*available: float, most: float = 192) -> list[int]:
        machine, told = Machine(*available), list[int]()
        monkeypatch.setattr(burden, "machine_mib", machine.look)
        monkeypatch.setattr(burden, "_tell", told.append)
        monkeypatch.setattr(burden, "_die_first", lambda: None)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        burden.memory(most, machine.alive)
        return told

    return run


def test_memory_is_given_back_when_others_need_it(on: Callable[..., list[int]]) -> None:
    assert on(5000, 5000, 5000, 5000, 1500, 1600, 5000, 5000) == [192, 128, 64]


def test_a_fifth_of_the_memory_is_never_touched(on: Callable[..., list[int]]) -> None:
    assert on(1700, 1700) == [0]
    assert on(1800, 1736, 1736) == [64]
