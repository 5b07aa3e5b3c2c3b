"""Whole runs: from the command line to the figures in the folder."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

import scenarios
from harness.core.hlog import read_hlog
from harness.stack.container import DEFAULT_IMAGE, engine_answers
from tests.cli.conftest import ROOT, Membench, judged

pytestmark = pytest.mark.slow
FILES = {"run.json", "report.html", "report.md", "junit.xml", "plots"}


def figures(membench: Membench, run: str = "out") -> dict[str, dict[str, dict[str, object]]]:
    status, shown = membench.run("show", run, "--json")
    assert status == 0
    return json.loads(shown)  # type: ignore[no-any-return]


def test_somebody_elses_service(membench: Membench, fake_service: Callable[..., str]) -> None:
    url = fake_service()
    status, output = membench.run("run", "noop", "--url", url, "--rate", 200, "--duration", "5s", "--out", "out")
    believed = judged(status, output)
    folder = membench.cwd / "out"
    assert FILES | {"noop.noop.hlog"} <= {path.name for path in folder.iterdir()}
    noop = figures(membench)["operations"]["noop"]
    assert noop["ok"] == noop["planned"] == 1000
    assert noop["verdict"] == ("PASS" if believed else "INVALID")
    assert abs(float(str(noop["achieved_rate"])) - 200) < 2
    response = noop["response"]
    assert isinstance(response, dict)
    assert response["count"] == 1000
    assert 0 < response["p50"] <= response["p95"] <= response["p99"] <= response["max"]
    assert response["p999"] is None  # a thousand requests do not carry it
    assert sum(histogram.count for tag, histogram in read_hlog(folder / "noop.noop.hlog") if tag == "service") == 1000
    assert membench.left_behind() == []


def test_a_scenario_of_ones_own(membench: Membench, fake_service: Callable[..., str]) -> None:
    text = scenarios.paths()["noop"].read_text()
    assert text.count('name = "noop"\ntitle') == 1
    (membench.cwd / "idle.toml").write_text(text.replace('name = "noop"\ntitle', 'name = "idle"\ntitle'))
    url = fake_service()
    judged(*membench.run("run", "idle.toml", "--url", url, "--rate", 100, "--duration", "2s"))
    (folder,) = (path for path in (membench.cwd / "results" / "runs").iterdir() if not path.is_symlink())
    assert folder.name.endswith("-idle")
    record = json.loads((folder / "run.json").read_text())
    assert [result["scenario"]["name"] for result in record["scenarios"]] == ["idle"]
    assert figures(membench, folder.name)["operations"]["noop"]["ok"] == 200


def test_latest_and_drawing_again_from_the_record_alone(membench: Membench, fake_service: Callable[..., str]) -> None:
    url = fake_service()
    judged(*membench.run("run", "noop", "--url", url, "--rate", 200, "--duration", "2s"))
    (folder,) = (path for path in (membench.cwd / "results" / "runs").iterdir() if not path.is_symlink())
    first = (folder / "report.html").read_bytes()
    for path in folder.iterdir():
        if path.suffix in (".html", ".md", ".xml", ".hlog"):
            path.unlink()
    status, output = membench.run("report", "latest")
    assert status == 0, output
    assert (folder / "report.html").read_bytes() == first
    assert membench.run("show")[1] == membench.run("show", folder.name)[1]


def test_the_reference_service_on_the_embedded_server(membench: Membench) -> None:
    words = ["working_access", "search_complex", "mixed", "creation", "--postgres", "embedded", "--memories", 400]
    status, output = membench.run("run", *words, "--duration", "4s", "--out", "out")
    assert status in (0, 1, 3), output
    record = json.loads((membench.cwd / "out" / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["system"]["postgres"] == "embedded"
    assert {"name": "shared_buffers"}.items() <= record["system"]["settings"][0].items()
    assert sum(record["dataset"]["memories"].values()) == 400
    shown = figures(membench)
    for name in ("working_access.get", "working_access.noop", "search_complex.search", "mixed.get", "creation.create"):
        assert int(str(shown["operations"][name]["ok"])) > 0
        assert shown["operations"][name]["error"] == 0
    assert shown["operations"]["mixed.get"]["censored"] == 0
    assert set(shown["floor"]) == {"working_access"}
    for target in ("memory_creation_rate", "search_operations", "error_rate", "connection_pool"):
        assert shown["targets"][target]["value"] is not None
    recall = {scenario["scenario"]["name"]: scenario["recall"] for scenario in record["scenarios"]}
    assert recall["working_access"] == recall["creation"] == {}
    for name in ("search_complex", "mixed"):
        found = recall[name]["search"]
        assert found["queries"] >= 20, output
        assert found["low"] <= found["mean"] <= found["high"]
        # So few memories are all compared; what is missing was created, changed or read meanwhile, and must not count.
        assert found["mean"] > 0.9, output
    assert shown["targets"]["search_recall"]["value"] > 90
    assert "query_text" not in json.dumps(record["scenarios"])
    for target in ("warm_storage_query", "compression_ratio"):
        assert shown["targets"][target]["verdict"] == "not measured"
    assert membench.left_behind() == []


@pytest.mark.skipif(not engine_answers(), reason="no Docker engine answers")
def test_the_container_path(membench: Membench) -> None:
    if "MEMBENCH_POSTGRES_IMAGE" not in os.environ and not _image_here():
        pytest.skip(f"no image: neither {DEFAULT_IMAGE} nor MEMBENCH_POSTGRES_IMAGE")
    words = ["working_access", "--postgres", "container", "--memories", 200, "--rate", 100, "--duration", "12s"]
    status, output = membench.run("run", *words, "--out", "out")
    assert status in (0, 1, 3), output
    record = json.loads((membench.cwd / "out" / "run.json").read_text())
    assert record["system"]["postgres"] == "container"
    assert membench.left_behind() == []
    names = subprocess.run(["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True)
    assert "membench-" not in names.stdout


def _image_here() -> bool:
    return subprocess.run(["docker", "image", "inspect", DEFAULT_IMAGE], capture_output=True).returncode == 0


def test_an_external_server_gets_a_database_and_loses_it_again(membench: Membench, postgres_url: str) -> None:
    def databases() -> str:
        import asyncio

        import asyncpg

        async def names() -> list[str]:
            connection = await asyncpg.connect(postgres_url)
            try:
                return [row[0] for row in await connection.fetch("SELECT datname FROM pg_database ORDER BY 1")]
            finally:
                await connection.close()

        return " ".join(asyncio.run(names()))

    before = databases()
    words = ["working_access", "--postgres", postgres_url, "--memories", 200, "--rate", 50, "--duration", "2s"]
    process = membench.start("run", *words, "--out", "out")
    membench.read_until(process, "starting the memory service")
    assert "membench_" in databases()
    output, _ = process.communicate(timeout=120)
    assert databases() == before, output
    assert membench.left_behind() == []


def test_a_killed_load_process_makes_the_run_invalid(membench: Membench, fake_service: Callable[..., str]) -> None:
    url = fake_service()
    process = membench.start("run", "noop", "--url", url, "--rate", 100, "--duration", "8s", "--out", "out")
    for _ in range(3):  # at once, and at the end
        membench.read_until(process, "noop: measure")
        for one in membench.processes():
            if "harness.load.process" in one.cmdline():
                os.kill(one.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    assert "killed by SIGKILL" in output


def test_plain_locust(membench: Membench, tmp_path: Path, free_tcp_port: Callable[[], int]) -> None:
    port, web = free_tcp_port(), free_tcp_port()
    service = membench.start("up", "--postgres", "embedded", "--port", port)
    membench.read_until(service, "memory service:")
    locust = [sys.executable, "-m", "locust", "-f", str(ROOT / "scenarios" / "locustfile.py")]
    host = ["--host", f"http://127.0.0.1:{port}", "--memories", "200"]
    run = subprocess.run(
        [*locust, *host, "--headless", "-u", "10", "-r", "10", "-t", "5s"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "closed loop, ms" in run.stdout
    for operation in ("create", "search", "get"):
        assert operation in run.stdout
    ui = subprocess.Popen(
        [*locust, *host, "--web-port", str(web), "--web-host", "127.0.0.1"],
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        assert "search_complex" in _page(f"http://127.0.0.1:{web}/")
    finally:
        ui.terminate()
        ui.wait(timeout=20)
        service.send_signal(signal.SIGINT)
        service.communicate(timeout=60)
    assert membench.left_behind() == []


def _page(url: str) -> str:
    for _ in range(100):
        try:
            return str(urllib.request.urlopen(url, timeout=10).read().decode())
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")
