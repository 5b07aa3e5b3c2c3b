"""Tasks: `nox -s bench` judges the reference service, `nox -s tests` passes the tests; `nox` alone runs all checks."""

import os
import shutil

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "uv|virtualenv"
LOCK = "constraints.txt"


def install(session: nox.Session, *groups: str) -> None:
    # uv's editable installs are seen at once by a second run: no rebuild between edits.
    session.install("-c", LOCK, "-e", ".", *(word for group in groups for word in ("--group", group)))


@nox.session
def bench(session: nox.Session) -> None:
    """The smoke suite against the reference service; arguments after -- go to `membench run`."""
    install(session)
    session.run("membench", "run", *session.posargs, success_codes=[0])


@nox.session
def tests(session: nox.Session) -> None:
    """All tests; `-- -m 'not slow'` leaves out those that take real time."""
    install(session, "test")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def selftest(session: nox.Session) -> None:
    """Checks the instrument on this machine: a wrong figure fails; a machine too busy to tell (3) is only said."""
    install(session)
    session.run("membench", "selftest", *session.posargs, success_codes=[0, 3])


@nox.session
def gate(session: nox.Session) -> None:
    """Whether the working tree is slower: `nox -s gate -- --base origin/main`. Inconclusive is not a failure here."""
    install(session)
    session.run("membench", "gate", "--inconclusive-is", "ok", *session.posargs, success_codes=[0])


@nox.session
def lint(session: nox.Session) -> None:
    """Formatter and linter, check only."""
    session.install("-c", LOCK, "--group", "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """The type checker, strict."""
    install(session, "types")
    session.run("mypy")


@nox.session
def lock(session: nox.Session) -> None:
    """Writes the constraints file anew, with the newest versions that fit."""
    session.install("uv")
    groups = [word for group in ("test", "lint", "types") for word in ("--group", group)]
    options = ["--universal", "--python-version", "3.11", "--no-annotate", "--no-header", "--upgrade", "--quiet"]
    session.run("uv", "pip", "compile", "pyproject.toml", *groups, *options, "--output-file", LOCK)


@nox.session
def clean(session: nox.Session) -> None:
    """Deletes what the tools leave behind; runs and baselines stay."""
    for folder in (".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "build", "dist"):
        if os.path.exists(folder):
            shutil.rmtree(folder)
