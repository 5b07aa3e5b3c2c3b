"""A run led on one host and loaded from another: two network namespaces with a cable between them."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from harness.core import record as records
from tests.cli.conftest import Membench, judged

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and the command ip"),
]
LEADER, LOADER = "10.201.7.1", "10.201.7.2"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces, each with one end of a cable."""
    one, other = (f"membench-{os.getpid()}-{letter}" for letter in "ab")
    made = []
    try:
        for name in (one, other):
            ip("netns", "add", name)
            made.append(name)
        ip("link", "add", "cable", "netns", one, "type", "veth", "peer", "name", "cable", "netns", other)
        for name, address in ((one, LEADER), (other, LOADER)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield one, other
    finally:
        for name in made:
            ip("netns", "del", name)


def test_two_workers_on_another_host(membench: Membench, hosts: tuple[str, str]) -> None:
    def start(host: str, *words: object) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", host, sys.executable, *map(str, words)]
        return subprocess.Popen(
            command,
            cwd=membench.cwd,
            env=membench.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    service = start(hosts[0], "-m", "harness.selftest.server", "--port", 4000, "--host", LEADER)
    workers = [start(hosts[1], "-m", "harness", "worker", "--join", LEADER) for _ in range(2)]
    words = ["run", "noop", "--rate", 200, "--duration", "6s", "--url", f"http://{LEADER}:4000", "--out", "out"]
    time.sleep(1)
    leader = start(hosts[0], "-m", "harness", *words, "--master", "--workers", 2, "--bind", f"{LEADER}:5557")
    try:
        said, _ = leader.communicate(timeout=120)
        judged(leader.returncode, said)
        for worker in workers:
            told, _ = worker.communicate(timeout=60)
            assert worker.returncode == 0, told
            assert "the run is over" in told
    finally:
        for process in (leader, *workers, service):
            process.kill()
            process.wait()
    (result,) = records.load(membench.cwd / "out").scenarios
    (log,) = result.operations
    assert (result.generator.workers, result.generator.reported) == (2, 2)
    assert log.tally.planned == log.tally.ok == 1200
    assert result.histogram("noop", "response").count == 1200
    assert not membench.left_behind()
