"""A memory service as a process of its own: the reference service, of any checkout, or whatever a command starts."""

import contextlib
import http.client
import json
import os
import shlex
import signal
import socket
import string
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from harness.core.errors import StackError, UsageError
from harness.stack.ledger import PATIENCE, Ledger, end, processes
from harness.stack.postgres import Say

POOL_SIZE = 50
START_SECONDS = 60.0
VARIABLE: Final = "MEMBENCH_SERVICE"
"""The environment variable by which the processes of one service are known, whatever started them."""
_PLACES: Final = {"port", "database_url"}


@dataclass
class Service:
    """A running service.

    Attributes:
        url: its root, without a trailing slash.
        pid: of the process that was started; where that is a wrapper, the service is among its children.
        stop: ends it, with all that it has started. Safe to call twice.
        wait: returns when it has ended by itself.
    """

    url: str
    pid: int
    stop: Callable[[], None]
    wait: Callable[[], object]


def reference(port: int, python: str = sys.executable) -> list[str]:
    """The command that starts the reference service: the one in the working directory, if it has one."""
    return [python, "-m", "reference_impl", "--port", str(port)]


def using(database_url: str) -> dict[str, str]:
    """The environment that tells a reference service its database."""
    # Not an argument: everybody on the machine sees those, and the URL has a password.
    return {"MEMORY_DATABASE_URL": database_url}


def command_of(text: str, port: int, database_url: str) -> list[str]:
    """The words of a user's command, split as a shell would, with {port} and {database_url} filled in.

    Raises:
        UsageError: it cannot be split, has no {port}, or has another placeholder.
    """
    hint = "for example 'my-service --port {port} --database {database_url}'"
    try:
        words = shlex.split(text)
        places = {name for word in words for _, name, _, _ in string.Formatter().parse(word) if name is not None}
    except ValueError as error:
        raise UsageError(f"cannot read the command {text!r}: {error}", hint="a literal brace is doubled") from error
    if unknown := places - _PLACES:
        raise UsageError(f"the command {text!r} has the unknown placeholder {{{min(unknown)}}}", hint=hint)
    if "port" not in places:
        raise UsageError(
            f"the command {text!r} has no {{port}}: where the service listens is not its choice", hint=hint
        )
    return [word.format(port=port, database_url=database_url) for word in words]


def start(
    command: Sequence[str],
    port: int,
    ledger: Ledger,
    say: Say,
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    cwd: Path | None = None,
    name: str = "the memory service",
) -> Service:
    """Start a service and wait until it is healthy.

    Args:
        command: its words; it must listen on `port` of the loopback address.
        port: free as yet.
        ledger: of the run.
        say: told what is going on.
        environment: what the process gets beside this one's own.
        cwd: its working directory; None for this one's.
        name: what messages call it.

    Raises:
        StackError: the port is taken, or it did not come up; with its last words.
    """
    _refuse_taken(port)
    say(f"starting {name} on port {port}")
    log = ledger.folder("service") / "service.log"
    mark = f"{ledger.contents.run}-{port}"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**ledger.environment(), **environment, VARIABLE: mark},
                cwd=cwd,
                start_new_session=True,
            )
    except OSError as error:
        raise StackError(f"cannot start {name}: {error.filename or command[0]}: {error.strerror}") from error

    def stop() -> None:
        _stop(process, mark)

    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                last = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
                raise StackError(f"{name} did not come up: {last or 'it said nothing'}")
            time.sleep(0.05)
    except BaseException:
        stop()
        raise
    return Service(url, process.pid, stop, process.wait)


def _stop(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """End a process and all that it started: a wrapper does not always hand a signal on."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(PATIENCE + 5)  # it answers what it has accepted first
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
    # What left its session, or outlived its wrapper.
    end(processes(VARIABLE, mark), patience=PATIENCE)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def healthy(url: str) -> bool:
    """Whether a service answers its health endpoint with 200."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/health", timeout=2) as answer:
            return bool(answer.status == 200 and json.load(answer))
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"port {port} is in use", hint="choose another with --port, or stop what listens there"
            ) from error
