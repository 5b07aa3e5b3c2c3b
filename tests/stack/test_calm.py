"""A calmed host is as it was afterwards, however the run ends; what cannot be done is said."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.stack import affinity, calm
from harness.stack.affinity import Affinity, layout
from harness.stack.calm import Calm, cpu_quota
from harness.stack.ledger import Ledger, end_processes, leftovers

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux's scheduler")
CORES = os.sched_getaffinity(0)
LAST = frozenset([max(CORES)])
FAMILY = """
import subprocess, sys, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; print('x', flush=True); time.sleep(60)"])
time.sleep(60)
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path) as one:
        yield one


@pytest.fixture
def family(ledger: Ledger) -> Iterator[psutil.Process]:
    """A process with two threads and a child; the ledger ends them."""
    started = subprocess.Popen([sys.executable, "-c", FAMILY], env=ledger.environment(), stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    yield psutil.Process(started.pid)
    end_processes(ledger.contents)
    started.stdout.close()
    started.wait()


def affinities(root: psutil.Process) -> list[set[int]]:
    """Of each thread of a process and its children."""
    return [os.sched_getaffinity(t.id) for one in (root, *root.children(recursive=True)) for t in one.threads()]


def spinners() -> list[psutil.Process]:
    """Those of this process that still spin."""
    found = []
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "spinner.py" in " ".join(one.cmdline()):
                found.append(one)
    return found


def gone(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_each_part_gets_cores_of_its_own_where_there_are_enough() -> None:
    assert layout(range(2)) == layout(range(3)) == {}
    for count in (4, 7, 16):
        parts = list(layout(range(count)).values())
        assert all(parts)
        assert frozenset.union(*parts) == frozenset(range(count))
        assert sum(map(len, parts)) == count


def test_threads_and_children_are_held_and_let_go(family: psutil.Process) -> None:
    before = affinities(family)
    held = Affinity()
    held.pin(family.pid, LAST)
    assert affinities(family) == [set(LAST)] * 3
    held.restore()
    held.restore()
    assert affinities(family) == before


def test_everything_is_undone(ledger: Ledger, family: psutil.Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affinity, "layout", lambda cores: dict.fromkeys(("generator", "service"), LAST))
    before = affinities(family)
    calmed = Calm(ledger, seconds=30, parts={"service": family.pid})

    def interrupted() -> None:
        with calmed:
            assert affinities(family) == [set(LAST)] * 3
            awake = spinners()
            assert {tuple(one.cpu_affinity()) for one in awake} == {(core,) for core in CORES}
            assert {os.sched_getscheduler(one.pid) for one in awake} == {os.SCHED_IDLE}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert affinities(family) == before
    assert spinners() == []
    assert not any("cpu_dma_latency" in os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors())
    assert calmed.said[0].startswith("the service was held to core")


def _descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]


def test_what_is_not_allowed_is_said(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "spinner.py"
    refusing.write_text("import sys; sys.exit('Operation not permitted')")
    monkeypatch.setattr(calm, "_SPINNER", refusing)
    monkeypatch.setattr(calm, "LATENCY_FILE", tmp_path / "none")
    monkeypatch.setattr(affinity, "layout", lambda cores: {"service": frozenset([10_000]), "postgres": LAST})
    missing = {"postgres": "it is somebody else's"}
    with Calm(ledger, seconds=30, parts={"service": os.getpid()}, missing=missing) as calmed:
        assert calmed.said == [
            "the service was not held to its cores: Invalid argument",
            "PostgreSQL was left on all cores: it is somebody else's",
            f"cores were not kept from deep sleep: {tmp_path / 'none'}: No such file or directory",
            "cores were not kept awake: Operation not permitted",
        ]
    assert os.sched_getaffinity(0) == CORES


def test_a_spinner_that_ended_early_is_said(ledger: Ledger) -> None:
    with Calm(ledger, seconds=0.2) as calmed:
        assert eventually(lambda: spinners() == [])
    assert calmed.said[-1] == "a process that kept a core awake ended before the run did"


def test_a_container_with_a_quota_is_not_spun(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    monkeypatch.setattr(calm, "_CGROUPS", tmp_path)
    if not any(line.startswith("0::/") for line in Path("/proc/self/cgroup").read_text().splitlines()):
        pytest.skip("no control groups of version 2")
    assert cpu_quota() == "1.5 cores"
    with Calm(ledger, seconds=30) as calmed:
        assert spinners() == []
    assert any("CPU quota (1.5 cores)" in sentence for sentence in calmed.said)


def test_spinners_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; import psutil\n"
        "from harness.stack.calm import Calm; from harness.stack.ledger import Ledger\n"
        f"with Calm(Ledger(Path({str(tmp_path)!r})), seconds=60):\n"
        "    print(*[one.pid for one in psutil.Process().children()], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == len(CORES), done.stderr
    assert eventually(lambda: all(map(gone, pids)))
    ((_, contents),) = leftovers(tmp_path)  # and the next run would have found them
    assert end_processes(contents) == 0
