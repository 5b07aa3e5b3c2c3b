"""What goes wrong before or while a run is under way: a clear message, the next step, the right exit status."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import scenarios
from tests.cli.conftest import Membench
from tests.ports import free_port


@pytest.mark.parametrize(
    ("words", "message", "next_step"),
    [
        (["run", "teleport"], "there is no scenario 'teleport'", "working_access"),
        (["run", "mine.toml"], "cannot read the scenario mine.toml", ""),
        (["run", "noop", str(scenarios.FOLDER / "noop.toml")], "two scenarios have the name 'noop'", "another"),
        (["run", "--suite", "huge"], "there is no suite 'huge'", "smoke, standard, full, shapes"),
        (["run", "noop", "--rate", "5", "--users", "5"], "--rate is open load", ""),
        (["run", "noop", "--think", "0"], "--think is of --users", ""),
        (["run", "noop", "--master", "--bind", "nowhere:port"], "'nowhere:port' is no address", "HOST:PORT"),
        (["worker", "--join", ":1"], "':1' is no address", "HOST:PORT"),
        (["run", "noop", "--duration", "soon"], "'soon' is no duration", "30s"),
        (["run", "noop", "--url", "localhost:3333"], "is no URL", "http://"),
        (["run", "noop", "--postgres", "mysql"], "'mysql' is no way to get PostgreSQL", "auto, container"),
        (["run", "noop", "--questions", "x.jsonl"], "--questions belong to a --corpus", ""),
        (["run", "noop", "--rate", "-4"], "", ""),
        (["fly"], "No such command", ""),
        (["show", "nothing"], "there is no run 'nothing'", "membench run"),
        (["report", "nothing"], "there is no run 'nothing'", "membench run"),
    ],
)
def test_a_wrong_command_line(membench: Membench, words: list[str], message: str, next_step: str) -> None:
    status, output = membench.run(*words)
    assert status == 2
    assert message in output
    assert next_step in output
    assert "Traceback" not in output


def test_help_teaches(membench: Membench) -> None:
    for words in (["--help"], ["run", "--help"], ["show", "--help"], ["report", "--help"], ["up", "--help"]):
        status, output = membench.run(*words)
        assert status == 0
        assert "Usage" in output
    assert "Exit status" in membench.run("--help")[1]


def test_a_dead_url(membench: Membench) -> None:
    status, output = membench.run("run", "noop", "--url", f"http://127.0.0.1:{free_port()}", "--out", "out")
    assert status == 3
    assert "no memory service answers" in output
    assert "membench up" in output
    assert not (membench.cwd / "out").exists()


def test_a_server_that_answers_500_to_everything(membench: Membench, fake_service: Callable[..., str]) -> None:
    status, output = membench.run("run", "noop", "--url", fake_service("--status", 500, "--sick"))
    assert status == 3
    assert "answers 500 on /api/v1/health" in output


def test_a_server_that_answers_500_under_load_fails(membench: Membench, fake_service: Callable[..., str]) -> None:
    url = fake_service("--status", 500)
    status, output = membench.run("run", "noop", "--url", url, "--rate", 100, "--duration", "2s", "--out", "out")
    assert status == 1
    assert "HTTP 500" in output
    assert (membench.cwd / "out" / "run.json").exists()


def test_data_that_the_service_refuses(membench: Membench, fake_service: Callable[..., str]) -> None:
    status, output = membench.run("run", "working_access", "--url", fake_service("--status", 500), "--memories", 10)
    assert status == 3
    assert "answered 500 to a batch of memories" in output


def test_a_port_in_use(membench: Membench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, output = membench.run("up", "--postgres", "embedded", "--port", taken.getsockname()[1])
    assert status == 3
    assert "is in use" in output
    assert "--port" in output
    assert membench.left_behind() == []


@pytest.mark.parametrize("out", ["/proc/nowhere", "/dev/null/run"])
def test_a_folder_that_cannot_be_written(membench: Membench, out: str) -> None:
    status, output = membench.run("run", "noop", "--out", out)
    assert status == 2
    assert f"cannot write to {out}" in output
    assert "--out" in output


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk(membench: Membench, small_disk: Path) -> None:
    status, output = membench.run("run", "noop", "--out", small_disk / "out")
    assert status == 2
    assert "No space left on device" in output
    assert "free some space" in output


def test_a_run_is_never_overwritten(membench: Membench) -> None:
    (membench.cwd / "out").mkdir()
    (membench.cwd / "out" / "run.json").write_text("{}")
    status, output = membench.run("run", "noop", "--out", "out")
    assert status == 2
    assert "holds a run already" in output


def test_a_corpus_with_a_broken_line(membench: Membench) -> None:
    corpus = membench.cwd / "corpus.jsonl"
    corpus.write_text('{"content": "one"}\n{"content": "two"\n')
    status, output = membench.run("run", "search_complex", "--corpus", corpus)
    assert status == 2
    assert "corpus.jsonl:2" in output


def test_an_image_that_cannot_be_had(membench: Membench) -> None:
    membench.environment["MEMBENCH_POSTGRES_IMAGE"] = "localhost:1/no/such:image"
    status, output = membench.run("run", "noop", "--postgres", "container")
    assert status == 3
    assert "--postgres embedded" in output
    assert membench.left_behind() == []


def test_a_database_server_that_is_not_there(membench: Membench) -> None:
    url = f"postgresql://someone:secret@127.0.0.1:{free_port()}/postgres"
    status, output = membench.run("run", "noop", "--postgres", url)
    assert status == 3
    assert "cannot make a database" in output
    assert "secret" not in output
