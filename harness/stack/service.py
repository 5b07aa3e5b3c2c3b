"""The reference service as a process of its own."""

import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from harness.core.errors import StackError
from harness.stack.ledger import PATIENCE, Ledger
from harness.stack.postgres import Say

POOL_SIZE = 50
START_SECONDS = 60.0


@dataclass
class Service:
    """A running service.

    Attributes:
        url: its root, without a trailing slash.
        pid: of its process.
        stop: ends it. Safe to call twice.
        wait: returns when it has ended by itself.
    """

    url: str
    pid: int
    stop: Callable[[], None]
    wait: Callable[[], object]


def start(database_url: str, port: int, ledger: Ledger, say: Say) -> Service:
    """Start the reference service and wait until it is healthy.

    Raises:
        StackError: the port is taken, or it did not come up; with its last words.
    """
    _refuse_taken(port)
    say(f"starting the memory service on port {port}")
    log = ledger.folder("service") / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "reference_impl", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Not an argument: everybody on the machine sees those, and the URL has a password.
            env={**ledger.environment(), "MEMORY_DATABASE_URL": database_url},
            start_new_session=True,
        )

    def stop() -> None:
        process.terminate()
        try:
            process.wait(PATIENCE + 5)  # it answers what it has accepted first
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                last = " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
                raise StackError(f"the memory service did not come up: {last or 'it said nothing'}")
            time.sleep(0.05)
    except BaseException:
        stop()
        raise
    return Service(url, process.pid, stop, process.wait)


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
