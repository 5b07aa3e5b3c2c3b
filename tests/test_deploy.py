"""The examples of deploy/: they parse, and the commands in them are commands of this version."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml

from harness.cli.app import app

DEPLOY = Path(__file__).parents[1] / "deploy"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def parsed(words: list[str]) -> dict[str, object]:
    verb, *rest = words
    return dict(COMMANDS[verb].make_context(verb, rest).params)


@pytest.fixture(params=["compose", "kubernetes"])
def commands(request: pytest.FixtureRequest) -> tuple[list[str], list[str], int]:
    """The master's words, a worker's, and how many workers there are."""
    if request.param == "compose":
        services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        master, worker = (
            shlex.split(re.sub(r"\$\{[^}]*\}", "http://memory:3333", services[name]["command"]))
            for name in ("master", "worker")
        )
        return master, worker, services["worker"]["deploy"]["replicas"]
    _, leader, crew = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    master, worker = (job["spec"]["template"]["spec"]["containers"][0]["args"] for job in (leader, crew))
    return master, worker, crew["spec"]["parallelism"]


def test_as_many_workers_join_as_the_master_waits_for(commands: tuple[list[str], list[str], int]) -> None:
    master, worker, count = commands
    led, joined = parsed(master), parsed(worker)
    assert led["master"] is True
    assert led["workers"] == count
    host, _, port = str(joined["join"]).partition(":")
    assert host.endswith("master")
    assert str(led["bind"]) == f"0.0.0.0:{port}"
    assert str(led["url"]).startswith("http://")
